using System.Text.Json;

namespace Loom.Control.Gateway;

/// <summary>Tokens of one request.</summary>
/// <param name="Prompt">Tokens of the prompt.</param>
/// <param name="Cached">How many of them the engine had in its cache.</param>
/// <param name="Completion">Tokens generated.</param>
internal readonly record struct TokenUsage(long Prompt, long Cached, long Completion)
{
    /// <summary>This and what a later event says: counts of a stream only grow.</summary>
    public TokenUsage With(TokenUsage later) =>
        new(Math.Max(Prompt, later.Prompt), Math.Max(Cached, later.Cached), Math.Max(Completion, later.Completion));

    /// <summary>
    /// Reads the <c>usage</c> object of an answer or of one stream event: at the top, or in the <c>response</c> or <c>message</c> that an event carries. False
    /// when there is none or the text is not JSON.
    /// </summary>
    /// <param name="json">The answer.</param>
    /// <param name="usage">What it says.</param>
    /// <param name="alone">True when <c>choices</c> is empty or missing: the event carries nothing but usage.</param>
    public static bool TryRead(ReadOnlySpan<byte> json, out TokenUsage usage, out bool alone)
    {
        usage = default;
        alone = true;
        var found = false;
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.EndObject)
            {
                if (reader.TokenType == JsonTokenType.EndObject)
                {
                    // Of a message or response that was entered, or of the whole.
                    continue;
                }

                if (reader.ValueTextEquals("usage"u8))
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.StartObject)
                    {
                        found = true;
                        usage = ReadCounts(ref reader);
                    }
                }
                else if (reader.CurrentDepth == 1 && (reader.ValueTextEquals("response"u8) || reader.ValueTextEquals("message"u8)))
                {
                    // What an object holds is read as if it stood here; anything else is passed over.
                    reader.Read();
                    if (reader.TokenType != JsonTokenType.StartObject)
                    {
                        reader.Skip();
                    }
                }
                else if (reader.ValueTextEquals("choices"u8))
                {
                    reader.Read();
                    var depth = reader.CurrentDepth;
                    alone = reader.TokenType != JsonTokenType.StartArray || (reader.Read() && reader.TokenType == JsonTokenType.EndArray);
                    while (reader.CurrentDepth > depth && reader.Read())
                    {
                    }
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        catch (JsonException)
        {
            return false;
        }

        return found;
    }

    private static TokenUsage ReadCounts(ref Utf8JsonReader reader)
    {
        long prompt = 0, cached = 0, completion = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("prompt_tokens"u8) || reader.ValueTextEquals("input_tokens"u8))
            {
                prompt = ReadCount(ref reader);
            }
            else if (reader.ValueTextEquals("completion_tokens"u8) || reader.ValueTextEquals("output_tokens"u8))
            {
                completion = ReadCount(ref reader);
            }
            else if (reader.ValueTextEquals("cache_read_input_tokens"u8))
            {
                cached = ReadCount(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_tokens_details"u8) || reader.ValueTextEquals("input_tokens_details"u8))
            {
                reader.Read();
                while (reader.TokenType != JsonTokenType.Null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("cached_tokens"u8))
                    {
                        cached = ReadCount(ref reader);
                    }
                    else
                    {
                        reader.Skip();
                    }
                }
            }
            else
            {
                reader.Skip();
            }
        }

        return new TokenUsage(prompt, cached, completion);
    }

    private static long ReadCount(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var count))
        {
            return count;
        }

        reader.Skip();
        return 0;
    }
}
