using System.Text;
using System.Text.Json;

namespace Loom.Node.Mock;

/// <summary>A request the mock engine refuses, in OpenAI terms.</summary>
internal sealed class MockRefusal(string code, string message) : Exception(message)
{
    public string Code => code;
}

/// <summary>What the mock engine reads from a request.</summary>
internal sealed record MockPrompt(string Text, ulong[] Words, int MaxTokens, long Seed, bool Stream, bool IncludeUsage, bool Logprobs, string[] Inputs, bool Base64)
{
    private const int DefaultTokens = 16;

    /// <summary>Reads a body of one of the three inference routes.</summary>
    /// <exception cref="MockRefusal">It is malformed, too long for the context, or asks for what the engine lacks.</exception>
    public static MockPrompt Parse(byte[] body, string path, MockEngineOptions options)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body);
        }
        catch (JsonException e)
        {
            throw new MockRefusal("invalid_value", $"the body is not JSON: {e.Message}");
        }

        using (document)
        {
            var root = document.RootElement;
            var inputs = path switch
            {
                "/v1/embeddings" => ReadInputs(root, "input"),
                "/v1/rerank" => ReadInputs(root, "documents"),
                _ => [],
            };
            var text = path switch
            {
                "/v1/chat/completions" or "/v1/messages" or "/v1/messages/count_tokens" => ReadMessages(root),
                "/v1/responses" => Required(root, "input"),
                "/v1/rerank" => Required(root, "query"),
                "/tokenize" => Required(root, root.TryGetProperty("content", out _) ? "content" : "prompt"),
                "/v1/completions" => root.TryGetProperty("prompt", out var p) ? p.ToString() : throw new MockRefusal("invalid_value", "prompt is missing"),
                _ => "",
            };
            var max = Number(root, "max_completion_tokens") ?? Number(root, "max_output_tokens") ?? Number(root, "max_tokens") ?? DefaultTokens;
            var words = MockText.Words(text);
            if (words.Length + max > options.Ctx)
            {
                throw new MockRefusal("context_length_exceeded", $"{words.Length} prompt tokens + {max} = more than the context of {options.Ctx} tokens");
            }

            var logprobs = root.TryGetProperty("logprobs", out var l) && l.ValueKind is JsonValueKind.True or JsonValueKind.Number;
            if (logprobs && !options.Logprobs)
            {
                throw new MockRefusal("unsupported_parameter", "logprobs: this engine does not offer it");
            }

            var usage = root.TryGetProperty("stream_options", out var o) && o.ValueKind == JsonValueKind.Object
                && o.TryGetProperty("include_usage", out var u) && u.ValueKind == JsonValueKind.True;
            var base64 = root.TryGetProperty("encoding_format", out var f) && f.ValueEquals("base64");
            var stream = root.TryGetProperty("stream", out var s) && s.ValueKind == JsonValueKind.True;
            return new MockPrompt(text, words, (int)max, Number(root, "seed") ?? 0, stream, usage, logprobs, inputs, base64);
        }
    }

    private static string ReadMessages(JsonElement root)
    {
        if (!root.TryGetProperty("messages", out var messages) || messages.ValueKind != JsonValueKind.Array)
        {
            throw new MockRefusal("invalid_value", "messages is missing");
        }

        var text = new StringBuilder();
        foreach (var message in messages.EnumerateArray())
        {
            if (message.TryGetProperty("content", out var content))
            {
                text.Append(content.ToString()).Append('\n');
            }
        }

        return text.ToString();
    }

    private static string Required(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) ? value.ToString() : throw new MockRefusal("invalid_value", $"{name} is missing");

    private static string[] ReadInputs(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var input))
        {
            throw new MockRefusal("invalid_value", $"{name} is missing");
        }

        return input.ValueKind == JsonValueKind.Array && input.EnumerateArray().All(i => i.ValueKind == JsonValueKind.String)
            ? [.. input.EnumerateArray().Select(i => i.GetString()!)]
            : [input.ToString()];
    }

    private static long? Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;
}
