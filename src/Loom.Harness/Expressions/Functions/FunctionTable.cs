using System.Collections.Frozen;

namespace Loom.Harness.Expressions.Functions;

/// <summary>All functions of the language but <c>has</c>, the loops and those of a scope.</summary>
internal static class FunctionTable
{
    private static readonly FrozenDictionary<string, Function[]> s_byName =
        Conversions.All.Concat(TextFunctions.All).Concat(NumberFunctions.All).Concat(TimeFunctions.All)
            .GroupBy(f => f.Name).ToFrozenDictionary(g => g.Key, g => g.ToArray(), StringComparer.Ordinal);

    /// <summary>Names that only special nodes serve: their argument must be known when the expression is compiled.</summary>
    private static readonly string[] s_special = ["matches", "format"];

    /// <summary>Functions with their forms, for the reference page.</summary>
    public static IEnumerable<Function> All => s_byName.Values.SelectMany(f => f).OrderBy(f => f.Name, StringComparer.Ordinal);

    public static bool IsMember(string name) => Named(Style.Member).Contains(name);

    public static bool IsGlobal(string name) => Named(Style.Global).Contains(name);

    /// <summary>Reads the arguments of a call, the opening bracket has been read, and picks the function.</summary>
    /// <param name="parser">Stands behind the opening bracket.</param>
    /// <param name="name">The function.</param>
    /// <param name="receiver">What stands before the dot; null for a global function.</param>
    /// <param name="start">Where the whole call begins.</param>
    /// <param name="more">Functions of the scope, for advice.</param>
    public static Node Call(Parser parser, Token name, Node? receiver, int start, IReadOnlyList<string>? more = null)
    {
        var style = receiver is null ? Style.Global : Style.Member;
        var named = Named(style);
        if (!named.Contains(name.Text))
        {
            throw parser.Error(name.Position, Unknown(name.Text, style, named.Concat(more ?? [])));
        }

        var arguments = parser.ParseArguments();
        Node[] nodes = [.. receiver is null ? [] : new[] { receiver }, .. arguments.Select(a => a.Node)];
        if (s_special.Contains(name.Text))
        {
            return Special(parser, name, nodes, arguments, start);
        }

        var forms = s_byName[name.Text];
        var kinds = Array.ConvertAll(nodes, n => n.Kind);
        var fitting = Array.FindAll(forms, f => f.MayTake(kinds));
        return fitting.Length > 0
            ? new CallNode(fitting, nodes, parser.Since(start))
            : throw parser.Error(name.Position, Refusal(forms, kinds));
    }

    /// <summary>Why none of the forms takes these kinds.</summary>
    public static string Refusal(IReadOnlyList<Function> forms, ReadOnlySpan<Kind> kinds)
    {
        var given = kinds.Length == 0 ? "nothing" : string.Join(", ", kinds.ToArray().Select(k => k.Name()));
        var taken = string.Join(" or ", forms.Select(f => $"({string.Join(", ", f.Parameters.Select(p => p.Name()))})"));
        return $"{forms[0].Name} takes {taken}, not ({given})";
    }

    private static IEnumerable<string> Named(Style style) =>
        s_byName.Values.Where(f => f[0].Style == style || f[0].Style == Style.Both).Select(f => f[0].Name)
            .Concat(style == Style.Member ? s_special.Concat(LoopParser.Names) : []);

    private static string Unknown(string name, Style style, IEnumerable<string> names)
    {
        if (style == Style.Global && (IsMember(name) || LoopParser.IsLoop(name)))
        {
            return $"{name} is called on a value: x.{name}(...)";
        }

        if (style == Style.Member && IsGlobal(name))
        {
            return $"{name} takes the value between its brackets: {name}(x)";
        }

        var list = names.Distinct().Order(StringComparer.Ordinal).ToList();
        var advice = Scope.Nearest(name, list) is { } near ? $"; did you mean \"{near}\"?" : "";
        return $"there is no function \"{name}\"{advice} (functions: {string.Join(", ", list)})";
    }

    private static Node Special(Parser parser, Token name, Node[] nodes, List<(Node Node, int Position)> arguments, int start)
    {
        if (nodes.Length != 2 || nodes[1] is not ConstantNode { Value: { Kind: Kind.String } text })
        {
            throw parser.Error(nodes.Length == 2 ? arguments[0].Position : name.Position, $"{name.Text} takes one pattern, written as a string in the expression");
        }

        var isMatch = name.Text == "matches";
        parser.Require(nodes[0], isMatch ? Kind.String : Kind.Timestamp, start, $"what {name.Text} is called on");
        try
        {
            return isMatch ? new MatchesNode(nodes[0], text.String, parser.Since(start)) : new FormatNode(nodes[0], text.String, parser.Since(start));
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException or FormatException)
        {
            throw parser.Error(arguments[0].Position, isMatch
                ? $"the pattern is refused: {e.Message} (patterns are regular expressions without look-around and back-references)"
                : $"\"{text.String}\" is no pattern for a time, as yyyy-MM-dd'T'HH:mm:ss is");
        }
    }
}
