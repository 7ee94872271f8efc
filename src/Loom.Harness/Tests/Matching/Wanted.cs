using Loom.Harness.Schemas;

namespace Loom.Harness.Tests.Matching;

/// <summary>An expected event that is compared with one or more that came; its schema is compiled once.</summary>
internal sealed class Wanted(ExpectedEvent expected, MatchRules rules)
{
    private JsonSchemaValidator? _schema;

    /// <summary>Null when it matches; else where it does not.</summary>
    public string? Differs(SeenEvent seen) =>
        expected.Key is { } key && key != seen.Key ? "key"
        : expected.Time is { } time && time != seen.Time ? "time"
        : expected.Mock is { } mock && mock != seen.Mock ? "mock"
        : rules.HasFlag(MatchRules.Schema) ? Misfit(seen)
        : JsonMatch.Differs(expected.Data, seen.Data, rules.HasFlag(MatchRules.Subset));

    /// <summary>Why it does not fit what is expected, taken as a schema; null when it does.</summary>
    public string? Misfit(SeenEvent seen)
    {
        try
        {
            return (_schema ??= JsonSchemaValidator.Compile(expected.Data)).Check(seen.Data)?.ToString();
        }
        catch (SchemaException e)
        {
            return $"the schema is wrong: {e.Pointer}: {e.Message}";
        }
    }
}
