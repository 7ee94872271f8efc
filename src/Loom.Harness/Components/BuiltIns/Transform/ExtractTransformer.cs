using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>What a document is written in.</summary>
internal enum DocumentFormat
{
    /// <summary>By the ending of the payload's <c>path</c> or <c>name</c>, else by how the text begins.</summary>
    Auto,
    Html,
    Markdown,
    Text,
}

/// <summary>Settings of <c>extract</c>.</summary>
internal sealed record ExtractOptions : IValidatableObject
{
    [Description("What the document is: html, markdown, text, or auto: by the ending of the payload's path or name, else by how the text begins.")]
    public DocumentFormat Format { get; init; }

    [Description("Where the document stands in the event.")]
    public Expression From { get; init; } = Expression.Compile("data.text");

    [Description("The field the plain text is put into; the other fields of the payload stay.")]
    public string Into { get; init; } = "text";

    [Description("The field the document's title is put into where it has one. Empty: the title is left out.")]
    public string TitleInto { get; init; } = "title";

    [Description("Leave out events whose document has no text.")]
    public bool SkipEmpty { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Payloads.NoText(From) is { } fault)
        {
            yield return new ValidationResult(fault, [nameof(From)]);
        }

        if (Into.Length == 0 || Into == TitleInto)
        {
            yield return new ValidationResult("into names a field of its own", [nameof(Into)]);
        }
    }
}

/// <summary>Takes the plain text out of documents.</summary>
[Component("extract", Type = ComponentType.Transformer, Summary = "Takes the plain text and the title out of HTML pages, Markdown and text files.")]
internal sealed class ExtractTransformer(ExtractOptions options) : Transformer<JsonElement, JsonElement>
{
    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var document = Payloads.Text(options.From, e);
        var (text, title) = Read(document, options.Format == DocumentFormat.Auto ? Recognise(e.Data, document) : options.Format);
        if (options.SkipEmpty && string.IsNullOrWhiteSpace(text))
        {
            return default;
        }

        var data = Payloads.With(e.Data, options.Into, text);
        return output.SendAsync(e.Derive(title is null || options.TitleInto.Length == 0 ? data : Payloads.With(data, options.TitleInto, title)), ct);
    }

    private static (string Text, string? Title) Read(string document, DocumentFormat format)
    {
        try
        {
            return format switch
            {
                DocumentFormat.Html => HtmlText.Of(document),
                DocumentFormat.Markdown => MarkdownText.Of(document),
                _ => (document.TrimStart('\ufeff').ReplaceLineEndings("\n"), null),
            };
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new ItemException("extract_error", "the document has a line that takes more than a second to read", ErrorClass.Permanent, e);
        }
    }

    private static DocumentFormat Recognise(JsonElement payload, string document)
    {
        foreach (var field in new[] { "path", "name" })
        {
            if (payload.ValueKind == JsonValueKind.Object && payload.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String)
            {
                switch (Path.GetExtension(value.GetString()!).ToLowerInvariant())
                {
                    case ".html" or ".htm" or ".xhtml":
                        return DocumentFormat.Html;
                    case ".md" or ".markdown" or ".mdown":
                        return DocumentFormat.Markdown;
                    case { Length: > 0 }:
                        return DocumentFormat.Text;
                }
            }
        }

        var start = document.AsSpan().TrimStart();
        return start.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase) || start.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
            ? DocumentFormat.Html : DocumentFormat.Text;
    }
}
