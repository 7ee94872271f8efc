using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>What a text is read as.</summary>
internal enum ParseFormat
{
    /// <summary>One JSON value.</summary>
    Json,

    /// <summary>Records of RFC 4180, each its own event.</summary>
    Csv,

    /// <summary>Named groups of a pattern.</summary>
    Text,
}

/// <summary>Settings of <c>parse</c>.</summary>
internal sealed record ParseOptions : IValidatableObject
{
    [Description("What the text is: json (one value), csv (records of RFC 4180, each its own event) or text (read by a pattern).")]
    public required ParseFormat Format { get; init; }

    [Description("Where the text stands in the event; data where the payload is the text itself.")]
    public Expression From { get; init; } = Expression.Compile("data.text");

    [Description("The field the result is put into, beside the other fields of the payload. Empty: the result becomes the payload.")]
    public string Into { get; init; } = "";

    [Description("csv: names of the columns, in order. Empty: the first record of each text names them.")]
    public IReadOnlyList<string> Columns { get; init; } = [];

    [Description("csv: the character between fields; \\t for a tab.")]
    public string Delimiter { get; init; } = ",";

    [Description("text: a regular expression with named groups, (?<level>[A-Z]+) (?<message>.*); each group becomes a field. Matching takes time linear in the text, so there are no look-arounds and back-references.")]
    public string Pattern { get; init; } = "";

    [Description("csv and text: what fields are: string (the default), int, float, bool, json or auto. Empty fields of any type but string are null.")]
    public IReadOnlyDictionary<string, CsvType> Types { get; init; } = new Dictionary<string, CsvType>();

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Payloads.NoText(From) is { } fault)
        {
            yield return new ValidationResult(fault, [nameof(From)]);
        }

        if (Format == ParseFormat.Text != Pattern.Length > 0)
        {
            yield return new ValidationResult(Pattern.Length > 0 ? "pattern belongs to format: text" : "format: text needs a pattern with named groups", [nameof(Pattern)]);
        }

        if (Format == ParseFormat.Text && Pattern.Length > 0 && PatternFault() is { } wrong)
        {
            yield return new ValidationResult(wrong, [nameof(Pattern)]);
        }

        if (Format != ParseFormat.Csv && Columns.Count > 0)
        {
            yield return new ValidationResult("columns belong to format: csv", [nameof(Columns)]);
        }

        if (Delimiter is not { Length: 1 } and not "\\t" || (Delimiter is [var c] && (c > 127 || c is '"' or '\r' or '\n')))
        {
            yield return new ValidationResult("the delimiter is one ASCII character that is no quote and no line end, or \\t", [nameof(Delimiter)]);
        }
    }

    public Regex Compile() => new(Pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Regex.InfiniteMatchTimeout);

    public static IReadOnlyList<string> Names(Regex pattern) => [.. pattern.GetGroupNames().Where(n => !char.IsAsciiDigit(n[0]))];

    private string? PatternFault()
    {
        try
        {
            return Names(Compile()).Count == 0 ? "the pattern has no named group: write (?<name>...)" : null;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return $"the pattern is refused: {e.Message}";
        }
    }
}
