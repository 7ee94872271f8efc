using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>How <c>split</c> parts what it is given.</summary>
internal enum SplitBy
{
    /// <summary>A list in the payload, into its members.</summary>
    Path,

    /// <summary>Text, into its lines.</summary>
    Lines,

    /// <summary>Text, into its sentences.</summary>
    Sentences,

    /// <summary>Text, into pieces of a size.</summary>
    Chunks,
}

/// <summary>Settings of <c>split</c>.</summary>
internal sealed record SplitOptions : IValidatableObject
{
    [Description("path parts a list into its members; lines, sentences and chunks part a text.")]
    public required SplitBy By { get; init; }

    [Description("What is parted: the list for path, the text for the others.")]
    public Expression From { get; init; } = Expression.Compile("data.text");

    [Description("The field each part is put into, beside the other fields of the payload and its place (index). Empty: the part becomes the payload, which is the default for path.")]
    public string? Into { get; init; }

    [Range(1, 10_000_000)]
    [Description("chunks: longest piece, in characters; pieces end with a paragraph, a sentence, a line or a word where one ends in their second half.")]
    public int Size { get; init; } = 1000;

    [Range(0, 1_000_000)]
    [Description("chunks: how much of a piece is repeated at the start of the next, in characters; less than size.")]
    public int Overlap { get; init; } = 100;

    [Description("lines: leave out lines that hold nothing but white space.")]
    public bool SkipEmpty { get; init; } = true;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (By == SplitBy.Chunks && Overlap >= Size)
        {
            yield return new ValidationResult($"overlap ({Overlap}) must be smaller than size ({Size}), or the text would never end", [nameof(Overlap)]);
        }

        if (By == SplitBy.Path ? From.Kind is not (Kind.List or Kind.Any) : From.Kind is not (Kind.String or Kind.Any))
        {
            yield return new ValidationResult($"from gives {From.Kind.Name()}, and by: {By.ToString().ToLowerInvariant()} parts {(By == SplitBy.Path ? "a list" : "a string")}", [nameof(From)]);
        }
    }
}

/// <summary>Makes several events of one.</summary>
[Component("split", Type = ComponentType.Transformer,
    Summary = "Makes several events of one: the members of a list, or the lines, sentences or overlapping chunks of a text, each with its place in the field index.")]
internal sealed class SplitTransformer(SplitOptions options) : Transformer<JsonElement, JsonElement>
{
    private readonly string _into = options.Into ?? (options.By == SplitBy.Path ? "" : "text");

    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (options.By == SplitBy.Path)
        {
            var list = options.From.Evaluate(e);
            if (list.ValueKind != JsonValueKind.Array)
            {
                throw new ItemException("expression_error", $"{options.From.Text} is to be parted and is no list but {list.ValueKind}");
            }

            var index = 0;
            foreach (var member in list.EnumerateArray())
            {
                await output.SendAsync(e.Derive(Part(e.Data, member, null, index++, -1)), ct).ConfigureAwait(false);
            }

            return;
        }

        var text = Payloads.Text(options.From, e);
        var place = 0;
        foreach (var (start, length) in Places(text))
        {
            await output.SendAsync(e.Derive(Part(e.Data, default, text.Substring(start, length), place++, start)), ct).ConfigureAwait(false);
        }
    }

    private IEnumerable<(int Start, int Length)> Places(string text) => options.By switch
    {
        SplitBy.Lines => Lines(text),
        SplitBy.Sentences => Sentences.Of(text),
        _ => Chunker.Cut(text, options.Size, options.Overlap),
    };

    private IEnumerable<(int Start, int Length)> Lines(string text)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf('\n', start);
            var next = end < 0 ? text.Length : end + 1;
            end = end < 0 ? text.Length : end > start && text[end - 1] == '\r' ? end - 1 : end;
            if (!options.SkipEmpty || !text.AsSpan(start, end - start).IsWhiteSpace())
            {
                yield return (start, end - start);
            }

            start = next;
        }
    }

    private JsonElement Part(JsonElement parent, JsonElement member, string? text, int index, int start)
    {
        if (_into.Length == 0)
        {
            return text is null ? member : Payloads.OfText(text);
        }

        var payload = Payloads.Writer;
        var json = payload.Begin();
        if (parent.ValueKind == JsonValueKind.Object)
        {
            foreach (var field in parent.EnumerateObject())
            {
                if (!field.NameEquals(_into) && !field.NameEquals("index"u8) && !(start >= 0 && field.NameEquals("start"u8)))
                {
                    field.WriteTo(json);
                }
            }
        }

        json.WritePropertyName(_into);
        if (text is null)
        {
            member.WriteTo(json);
        }
        else
        {
            json.WriteStringValue(text);
        }

        json.WriteNumber("index"u8, index);
        if (start >= 0)
        {
            json.WriteNumber("start"u8, start);
        }

        return payload.End();
    }
}
