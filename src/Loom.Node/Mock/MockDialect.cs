using System.Globalization;

namespace Loom.Node.Mock;

/// <summary>Answers of the routes that do not speak as chat and completions do. Pure: text in, JSON or events out.</summary>
/// <param name="path">The route.</param>
/// <param name="id">Id of the answer.</param>
/// <param name="model">Model it claims to be.</param>
internal sealed class MockDialect(string path, string id, string model)
{
    private readonly bool _anthropic = path == "/v1/messages";

    private string Model => MockWire.Quote(model);

    /// <summary>Whether a route has a dialect of its own for streams.</summary>
    public static bool Speaks(string path) => path is "/v1/messages" or "/v1/responses";

    /// <summary>Whether a route answers at once, without generating.</summary>
    public static bool IsInstant(string path) => path is "/v1/messages/count_tokens" or "/v1/rerank" or "/tokenize";

    /// <summary>What stands before the first token of a stream.</summary>
    public string Opening(int promptTokens, int cached) => _anthropic
        ? Event("message_start", $$"""{"type":"message_start","message":{"id":"{{id}}","type":"message","role":"assistant","model":{{Model}},"content":[],"stop_reason":null,"usage":{"input_tokens":{{promptTokens}},"cache_read_input_tokens":{{cached}},"output_tokens":0} },"mock":true}""")
            + Event("content_block_start", """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""")
        : Event("response.created", $$"""{"type":"response.created","sequence_number":0,"response":{"id":"{{id}}","object":"response","status":"in_progress","model":{{Model}},"output":[],"usage":null},"mock":true}""");

    /// <summary>One token of a stream.</summary>
    public string Token(int index, string word) => _anthropic
        ? Event("content_block_delta", $$"""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":{{MockWire.Quote(word)}} } }""")
        : Event("response.output_text.delta", string.Create(CultureInfo.InvariantCulture, $$"""{"type":"response.output_text.delta","sequence_number":{{index + 1}},"item_id":"msg_1","output_index":0,"content_index":0,"delta":{{MockWire.Quote(word)}}}"""));

    /// <summary>What ends a stream.</summary>
    public string Closing(string text, int promptTokens, int cached, int tokens) => _anthropic
        ? Event("content_block_stop", """{"type":"content_block_stop","index":0}""")
            + Event("message_delta", $$"""{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":{{tokens}} } }""")
            + Event("message_stop", """{"type":"message_stop"}""")
        : Event("response.completed", $$"""{"type":"response.completed","sequence_number":{{tokens + 1}},"response":{{Whole(text, promptTokens, cached, tokens)}}}""");

    /// <summary>The answer that is no stream.</summary>
    public string Whole(string text, int promptTokens, int cached, int tokens) => _anthropic
        ? $$"""{"id":"{{id}}","type":"message","role":"assistant","model":{{Model}},"content":[{"type":"text","text":{{MockWire.Quote(text)}}}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":{{promptTokens}},"cache_read_input_tokens":{{cached}},"output_tokens":{{tokens}}},"mock":true}"""
        : $$"""{"id":"{{id}}","object":"response","status":"completed","model":{{Model}},"output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":{{MockWire.Quote(text)}},"annotations":[]}]}],"usage":{"input_tokens":{{promptTokens}},"input_tokens_details":{"cached_tokens":{{cached}}},"output_tokens":{{tokens}},"total_tokens":{{promptTokens + tokens}}},"mock":true}""";

    /// <summary>The answer of a route that generates nothing.</summary>
    public string Instant(MockPrompt prompt) => path switch
    {
        "/v1/messages/count_tokens" => $$"""{"input_tokens":{{prompt.Words.Length}},"mock":true}""",
        "/tokenize" => $$"""{"tokens":[{{string.Join(',', prompt.Words.Select(w => w % 32000))}}],"count":{{prompt.Words.Length}},"mock":true}""",
        _ => $$"""{"model":{{Model}},"object":"list","results":[{{string.Join(',', Ranked(prompt))}}],"usage":{"prompt_tokens":{{prompt.Words.Length}},"total_tokens":{{prompt.Words.Length}}},"mock":true}""",
    };

    // A document is the more relevant the more words it shares with the query.
    private static IEnumerable<string> Ranked(MockPrompt prompt) => prompt.Inputs
        .Select((document, index) => (index, score: MockText.Words(document) is { Length: > 0 } words ? (double)words.Count(prompt.Words.Contains) / words.Length : 0))
        .OrderByDescending(d => d.score).ThenBy(d => d.index)
        .Select(d => string.Create(CultureInfo.InvariantCulture, $$"""{"index":{{d.index}},"relevance_score":{{d.score:0.####}}}"""));

    private static string Event(string name, string data) => $"event: {name}\ndata: {data}\n\n";
}
