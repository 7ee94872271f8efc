using System.Text.Json;

namespace Loom.Control.Gateway;

/// <summary>Tokens of one request.</summary>
/// <param name="Prompt">Tokens of the prompt.</param>
/// <param name="Cached">How many of them the engine had in its cache.</param>
/// <param name="Completion">Tokens generated.</param>
internal readonly record struct TokenUsage(long Prompt, long Cached, long Completion)
{
    /// <summary>
    /// Reads the top-level <c>usage</c> object of an answer or of one stream event. False when there is none or the text is not JSON.
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

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("usage"u8))
                {
                    reader.Read();
                    found = reader.TokenType == JsonTokenType.StartObject;
                    usage = found ? ReadCounts(ref reader) : default;
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
            if (reader.ValueTextEquals("prompt_tokens"u8))
            {
                prompt = ReadCount(ref reader);
            }
            else if (reader.ValueTextEquals("completion_tokens"u8))
            {
                completion = ReadCount(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_tokens_details"u8))
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
