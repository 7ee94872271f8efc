using System.Globalization;
using Loom.Harness.Expressions;

namespace Loom.Harness.Tests.Matching;

/// <summary>Compares the events of one port with those expected there.</summary>
internal static class EventMatch
{
    private const int MostShown = 10;

    /// <summary>All differences; none when they match.</summary>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public static IReadOnlyList<Difference> Compare(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules, CancellationToken ct = default)
    {
        var all = expected.ForAll ? ForAll(expected, seen, ct)
            : rules.HasFlag(MatchRules.Unordered) ? Unordered(expected, seen, rules, ct)
            : InOrder(expected, seen, rules, ct);
        return all.Count <= MostShown ? all : [.. all.Take(MostShown), new Difference(expected.Place, $"{expected.Name}: and {all.Count - MostShown} more differences")];
    }

    private static List<Difference> InOrder(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules, CancellationToken ct)
    {
        var found = new List<Difference>();
        for (var i = 0; i < Math.Max(expected.Events.Count, seen.Count); i++)
        {
            ct.ThrowIfCancellationRequested();
            if (i >= seen.Count)
            {
                found.Add(Missing(expected, expected.Events[i], i));
            }
            else if (i >= expected.Events.Count)
            {
                found.Add(Unasked(expected, seen[i], i));
            }
            else if (new Wanted(expected.Events[i], rules).Differs(seen[i]) is { } path)
            {
                var one = expected.Events[i];
                found.Add(new Difference(one.Place, $"{expected.Name}: event {i + 1} differs{(path.Length == 0 ? "" : $" at {path.TrimStart('.')}")}", Line(one), Line(one, seen[i])));
            }
        }

        return found;
    }

    private static List<Difference> Unordered(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules, CancellationToken ct)
    {
        var wanted = expected.Events.Select(e => new Wanted(e, rules)).ToList();
        var equal = seen.Select((s, i) => (Text: CanonicalJson.Of(s.Data), Index: i)).GroupBy(s => s.Text, s => s.Index, StringComparer.Ordinal).ToDictionary(g => g.Key, g => new Queue<int>(g), StringComparer.Ordinal);
        var takenBy = Pairing.Of(
            wanted.Count, seen.Count, (w, i) => wanted[w].Differs(seen[i]) is null, w => equal.GetValueOrDefault(CanonicalJson.Of(expected.Events[w].Data)), ct);
        var found = Enumerable.Range(0, wanted.Count).Except(takenBy).Select(w => Missing(expected, expected.Events[w], w)).ToList();
        found.AddRange(Enumerable.Range(0, seen.Count).Where(i => takenBy[i] < 0).Select(i => Unasked(expected, seen[i], i)));
        return found;
    }

    private static List<Difference> ForAll(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, CancellationToken ct)
    {
        var schema = expected.Events[0];
        var wanted = new Wanted(schema, MatchRules.Schema);
        var found = new List<Difference>();
        if (seen.Count == 0)
        {
            found.Add(new Difference(schema.Place, $"{expected.Name}: nothing came that could fit the schema"));
        }

        for (var i = 0; i < seen.Count; i++)
        {
            ct.ThrowIfCancellationRequested();
            if (wanted.Misfit(seen[i]) is { } why)
            {
                found.Add(new Difference(schema.Place, $"{expected.Name}: event {i + 1} does not fit the schema: {why}", null, EventLines.Of(seen[i].Data)));
            }
        }

        return found;
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
