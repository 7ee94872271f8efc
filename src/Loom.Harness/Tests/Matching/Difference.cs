namespace Loom.Harness.Tests.Matching;

/// <summary>Something that is not as expected.</summary>
/// <param name="Place">The expectation.</param>
/// <param name="Text">What differs.</param>
/// <param name="Expected">What was wanted, as one line; null: nothing more came to be wanted.</param>
/// <param name="Actual">What came, as one line; null: nothing came.</param>
internal sealed record Difference(TestPlace Place, string Text, string? Expected = null, string? Actual = null)
{
    /// <summary>Place and text, then what was wanted behind <c>-</c> and what came behind <c>+</c>.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"{Place}: {Text}";
        if (Expected is not null)
        {
            yield return "  - " + Expected;
        }

        if (Actual is not null)
        {
            yield return "  + " + Actual;
        }
    }
}

/// <summary>An event as a test sees it.</summary>
internal sealed record SeenEvent(System.Text.Json.JsonElement Data, string? Key, DateTimeOffset Time, bool Mock);
