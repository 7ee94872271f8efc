namespace Loom.Node.Demo;

/// <summary>The demo model: a word-bigram table dressed as a llama model, so that a fresh machine can run real inference without a download.</summary>
public static class DemoModel
{
    /// <summary>Catalog id.</summary>
    public const string Id = "demo";

    /// <summary>Name of the file in a models folder.</summary>
    public const string FileName = "loom-demo.gguf";

    /// <summary>SHA-256 of the file <see cref="DemoModelWriter"/> writes, lower-case hex; the same on every platform.</summary>
    public const string Sha256 = "44100f9c9ef1d41f8a4a692a4ff3948e20f296abc69da36540f95c79354fa974";

    /// <summary>Length of the file in bytes.</summary>
    public const long Bytes = 3890144;

    /// <summary>Tokens of context.</summary>
    public const int ContextLength = 2048;

    /// <summary>What the model is, in the file's metadata, in <c>/v1/models</c> and in the first answer of a chat.</summary>
    public const string Description = "word-bigram demo; fluent babble, knows nothing";

    /// <summary>
    /// The answer goes on where the last message stops, because a bigram model sees nothing but the last word. After a finished sentence a line break asks for a
    /// new one; without it the model could only end.
    /// </summary>
    internal const string ChatTemplate =
        "{%- for message in messages -%}{%- if not loop.first -%}{{ '\\n' }}{%- endif -%}{{ message['content'] | trim }}{%- endfor -%}" +
        "{%- set last = messages[-1]['content'] | trim -%}" +
        "{%- if last.endswith('.') or last.endswith('?') or last.endswith('!') or last.endswith(':') -%}{{ '\\n' }}{%- endif -%}";
}
