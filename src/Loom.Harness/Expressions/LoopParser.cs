namespace Loom.Harness.Expressions;

/// <summary>Reads <c>exists all exists_one filter map</c>, whose first argument names a variable.</summary>
internal static class LoopParser
{
    public static IReadOnlyList<string> Names { get; } = ["all", "exists", "exists_one", "filter", "map"];

    public static bool IsLoop(string name) => Names.Contains(name);

    /// <summary>The parser stands behind the opening bracket.</summary>
    public static Node Parse(Parser parser, Node target, Token name, int start)
    {
        if (target.Kind is not (Kind.Any or Kind.List or Kind.Map))
        {
            throw parser.Error(name.Position, $"{name.Text}() goes through a list or a map, not through {target.Kind.Name()}");
        }

        var variable = parser.Current;
        if (variable.Kind != TokenKind.Name)
        {
            throw parser.Unexpected($"the name of a variable, as in {name.Text}(x, ...),");
        }

        parser.Advance();
        parser.Expect(",", "\",\"");
        var slot = parser.NextSlot;
        var kind = target.Kind == Kind.Map ? Kind.String : Kind.Any;
        var position = parser.Current.Position;
        var first = parser.ParseWithLocal(variable.Text, kind);
        Node? second = null;
        if (name.Text == "map" && parser.Current.Is(","))
        {
            parser.Advance();
            second = parser.ParseWithLocal(variable.Text, kind);
        }

        parser.Expect(")", "\")\"");
        var loop = name.Text switch
        {
            "exists" => Loop.Exists,
            "all" => Loop.All,
            "exists_one" => Loop.ExistsOne,
            "filter" => Loop.Filter,
            _ => Loop.Map,
        };
        var condition = loop == Loop.Map && second is null ? null : first;
        if (condition is not null)
        {
            parser.Require(condition, Kind.Bool, position, $"the condition in {name.Text}()");
        }

        return new LoopNode(loop, slot, target, condition, loop == Loop.Map ? second ?? first : null, parser.Since(start));
    }
}
