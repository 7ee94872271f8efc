using System.Globalization;
using Loom.Harness.Schemas;

namespace Loom.Harness.Tests.Matching;

/// <summary>Compares the events of one port with those expected there.</summary>
internal static class EventMatch
{
    private const int MostShown = 10;

    /// <summary>All differences; none when they match.</summary>
    public static IReadOnlyList<Difference> Compare(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules)
    {
        var all = expected.ForAll ? ForAll(expected, seen)
            : rules.HasFlag(MatchRules.Unordered) ? Unordered(expected, seen, rules)
            : InOrder(expected, seen, rules);
        return all.Count <= MostShown ? all : [.. all.Take(MostShown), new Difference(expected.Place, $"{expected.Name}: and {all.Count - MostShown} more differences")];
    }

    private static List<Difference> InOrder(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules)
    {
        var found = new List<Difference>();
        for (var i = 0; i < Math.Max(expected.Events.Count, seen.Count); i++)
        {
            if (i >= seen.Count)
            {
                found.Add(Missing(expected, expected.Events[i], i));
            }
            else if (i >= expected.Events.Count)
            {
                found.Add(Unasked(expected, seen[i], i));
            }
            else if (Differs(expected.Events[i], seen[i], rules) is { } path)
            {
                var one = expected.Events[i];
                found.Add(new Difference(one.Place, $"{expected.Name}: event {i + 1} differs{(path.Length == 0 ? "" : $" at {path.TrimStart('.')}")}", Line(one), Line(one, seen[i])));
            }
        }

        return found;
    }

    // Each expected event is given one that fits it, and gives it up where another one is found for it: only so is "any order" decided right.
    private static List<Difference> Unordered(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules)
    {
        var takenBy = Enumerable.Repeat(-1, seen.Count).ToArray();
        bool Find(int wanted, HashSet<int> tried)
        {
            for (var i = 0; i < seen.Count; i++)
            {
                if (Differs(expected.Events[wanted], seen[i], rules) is null && tried.Add(i) && (takenBy[i] < 0 || Find(takenBy[i], tried)))
                {
                    takenBy[i] = wanted;
                    return true;
                }
            }

            return false;
        }

        var found = new List<Difference>();
        for (var i = 0; i < expected.Events.Count; i++)
        {
            if (!Find(i, []))
            {
                found.Add(Missing(expected, expected.Events[i], i));
            }
        }

        found.AddRange(Enumerable.Range(0, seen.Count).Where(i => takenBy[i] < 0).Select(i => Unasked(expected, seen[i], i)));
        return found;
    }

    private static List<Difference> ForAll(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen)
    {
        var schema = expected.Events[0];
        var found = new List<Difference>();
        if (seen.Count == 0)
        {
            found.Add(new Difference(schema.Place, $"{expected.Name}: nothing came that could fit the schema"));
        }

        for (var i = 0; i < seen.Count; i++)
        {
            if (Misfit(schema, seen[i]) is { } why)
            {
                found.Add(new Difference(schema.Place, $"{expected.Name}: event {i + 1} does not fit the schema: {why}", null, EventLines.Of(seen[i].Data)));
            }
        }

        return found;
    }

    // Null when it matches; else where it does not.
    private static string? Differs(ExpectedEvent expected, SeenEvent seen, MatchRules rules) =>
        expected.Key is { } key && key != seen.Key ? "key"
        : expected.Time is { } time && time != seen.Time ? "time"
        : expected.Mock is { } mock && mock != seen.Mock ? "mock"
        : rules.HasFlag(MatchRules.Schema) ? Misfit(expected, seen)
        : JsonMatch.Differs(expected.Data, seen.Data, rules.HasFlag(MatchRules.Subset));

    private static string? Misfit(ExpectedEvent schema, SeenEvent seen)
    {
        try
        {
            return JsonSchemaValidator.Compile(schema.Data).Check(seen.Data)?.ToString();
        }
        catch (SchemaException e)
        {
            return $"the schema is wrong: {e.Pointer}: {e.Message}";
        }
    }

    private static Difference Missing(ExpectedEvents expected, ExpectedEvent one, int index) =>
        new(one.Place, $"{expected.Name}: event {index + 1} did not come", Line(one), null);

    private static Difference Unasked(ExpectedEvents expected, SeenEvent seen, int index) =>
        new(expected.Place, $"{expected.Name}: event {index + 1} was not expected", null, EventLines.Of(seen.Data));

    private static string Line(ExpectedEvent one) => Line(one, new SeenEvent(one.Data, one.Key, one.Time ?? default, one.Mock ?? false));

    // Beside the payload only what was asked for.
    private static string Line(ExpectedEvent asked, SeenEvent seen)
    {
        var data = EventLines.Of(seen.Data);
        var more = string.Concat(
            asked.Key is null ? "" : $" key {seen.Key ?? "none"}",
            asked.Time is null ? "" : string.Create(CultureInfo.InvariantCulture, $" time {seen.Time:O}"),
            asked.Mock is null ? "" : $" mock {(seen.Mock ? "true" : "false")}");
        return data + more;
    }
}
