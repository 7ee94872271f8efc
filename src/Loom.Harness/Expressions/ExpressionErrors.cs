using Loom.Components;

namespace Loom.Harness.Expressions;

/// <summary>What an error value becomes once it has reached the top.</summary>
internal static class ExpressionErrors
{
    public static string Message(in Value error) => error.Content is Node missing ? $"{missing.Source} is missing" : (string)error.Content!;

    /// <summary>The item error: <c>missing_field</c> or <c>expression_error</c>, permanent.</summary>
    public static ItemException Item(in Value error, string text) => error.Content is Node missing
        ? new ItemException("missing_field", $"{missing.Source} is missing; ask for it first with has({missing.Source}) (in: {Short(text)})")
        : new ItemException("expression_error", $"{Message(error)} (in: {Short(text)})");

    /// <summary>A result of a kind that cannot be used.</summary>
    public static ItemException Kind(string wanted, Kind found, string text) =>
        new("expression_error", $"the result must be {wanted}, not {found.Name()} (in: {Short(text)})");

    private static string Short(string text) => text.Length > 120 ? string.Concat(text.AsSpan(0, 117), "...") : text;
}
