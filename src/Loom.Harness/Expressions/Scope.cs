namespace Loom.Harness.Expressions;

/// <summary>What names mean where an expression stands.</summary>
internal abstract class Scope
{
    /// <summary>Where events are: <c>data key headers time id meta</c>.</summary>
    public static Scope Event { get; } = new EventScope();

    /// <summary>The variables, for messages.</summary>
    public abstract IReadOnlyList<string> Variables { get; }

    /// <summary>Whether <c>$</c> stands for <c>data</c>.</summary>
    public abstract bool HasData { get; }

    /// <summary>A variable, or null when there is none of this name.</summary>
    public abstract Node? Variable(string name);

    /// <summary>Names of the functions only this scope has.</summary>
    public virtual IReadOnlyList<string> Functions => [];

    /// <summary>Reads a call of such a function; the parser stands behind the opening bracket and must end behind the closing one.</summary>
    public virtual Node Call(Parser parser, Token name) => throw new NotSupportedException(name.Text);

    /// <summary>The name nearest to a wrong one, or null when none is near.</summary>
    public static string? Nearest(string wrong, IEnumerable<string> names)
    {
        var best = (Name: (string?)null, Distance: Math.Max(1, wrong.Length / 3) + 1);
        foreach (var name in names)
        {
            var distance = Distance(wrong, name);
            if (distance < best.Distance)
            {
                best = (name, distance);
            }
        }

        return best.Name;
    }

    // Levenshtein, letter case aside.
    private static int Distance(string first, string second)
    {
        var row = Enumerable.Range(0, second.Length + 1).ToArray();
        for (var i = 1; i <= first.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= second.Length; j++)
            {
                var same = char.ToLowerInvariant(first[i - 1]) == char.ToLowerInvariant(second[j - 1]);
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (same ? 0 : 1)));
            }
        }

        return row[^1];
    }

    private sealed class EventScope : Scope
    {
        public override IReadOnlyList<string> Variables { get; } = ["data", "key", "headers", "time", "id", "meta"];

        public override bool HasData => true;

        // The parser itself reads it: what stands between its brackets is not evaluated.
        public override IReadOnlyList<string> Functions { get; } = ["has"];

        public override Node? Variable(string name) => name switch
        {
            "data" => new PathNode("data"),
            "key" => new EventNode(Kind.Any, static (ref readonly e) => Value.Of(e.Key), name),
            "headers" => new EventNode(Kind.Map, static (ref readonly e) => Value.Of(e.Headers), name),
            "time" => new EventNode(Kind.Timestamp, static (ref readonly e) => Value.Of(e.Time), name),
            "id" => new EventNode(Kind.String, static (ref readonly e) => Value.Of(e.Id.ToString()), name),
            "meta" => new MetaNode(name),
            _ => null,
        };
    }
}
