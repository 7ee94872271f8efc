namespace Loom.Harness.Expressions;

/// <summary>A part of a compiled expression. Immutable, used by any number of threads at once.</summary>
internal abstract class Node
{
    /// <summary>How deep parts may be nested, so that neither compiling nor evaluating can use up a stack.</summary>
    public const int DepthLimit = 500;

    protected Node(Kind kind, string source, params ReadOnlySpan<Node> parts)
    {
        Kind = kind;
        Source = source;
        List<PathNode>? paths = null;
        foreach (var part in parts)
        {
            Depth = Math.Max(Depth, part.Depth + 1);
            IsConstant &= part.IsConstant;
            if (kind != Kind.Bool && part.Paths.Count > 0)
            {
                (paths ??= []).AddRange(part.Paths);
            }
        }

        Paths = paths ?? [];
    }

    /// <summary>Of its value; <see cref="Kind.Any"/> when only an event can tell.</summary>
    public Kind Kind { get; }

    /// <summary>As it was written, for messages.</summary>
    public string Source { get; }

    public int Depth { get; }

    /// <summary>Whether its value is the same for all events.</summary>
    public bool IsConstant { get; protected init; } = true;

    /// <summary>Places of the payload whose values may stand in its value; what is only asked (compared, looked for) is none.</summary>
    public IReadOnlyList<PathNode> Paths { get; protected init; }

    /// <summary>Its value, or an error as a value; throws nothing.</summary>
    public abstract Value Evaluate(ref Frame frame);

    protected static Value TooManySteps() =>
        Value.Error($"it takes more than {Frame.StepLimit} steps; look at fewer members or split the work over several components");
}

/// <summary>A value that is known.</summary>
internal sealed class ConstantNode(Value value, string source) : Node(value.Kind, source)
{
    public Value Value => value;

    public override Value Evaluate(ref Frame frame) => value;
}

/// <summary>The variable of a loop.</summary>
internal sealed class LocalNode : Node
{
    private readonly int _slot;

    public LocalNode(int slot, Kind kind, string source)
        : base(kind, source)
    {
        _slot = slot;
        IsConstant = false;
    }

    public override Value Evaluate(ref Frame frame) => frame.Local(_slot);
}

internal sealed class BinaryNode(Operator op, Kind kind, Node left, Node right, string source) : Node(kind, source, left, right)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var first = left.Evaluate(ref frame);
        var second = right.Evaluate(ref frame);
        return Operators.Apply(op, first, second);
    }
}

internal sealed class NegateNode(Kind kind, Node operand, string source) : Node(kind, source, operand)
{
    public override Value Evaluate(ref Frame frame) => frame.Step() ? Operators.Negate(operand.Evaluate(ref frame)) : TooManySteps();
}

internal sealed class NotNode(Node operand, string source) : Node(Kind.Bool, source, operand)
{
    public override Value Evaluate(ref Frame frame)
    {
        var value = frame.Step() ? operand.Evaluate(ref frame) : TooManySteps();
        return value.Kind is Kind.Error ? value : value.Kind is Kind.Bool ? Value.Of(!value.IsTrue) : Value.Error($"\"!\" takes a bool, not {value.Kind.Name()}");
    }
}

/// <summary>And, or. One side that decides is enough: the other may then be an error.</summary>
internal sealed class LogicNode(bool isAnd, Node left, Node right, string source) : Node(Kind.Bool, source, left, right)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var first = Check(left.Evaluate(ref frame));
        if (Decides(first))
        {
            return first;
        }

        var second = Check(right.Evaluate(ref frame));
        return Decides(second) || !first.IsError ? second : first;
    }

    private bool Decides(in Value value) => isAnd ? value.IsFalse : value.IsTrue;

    private Value Check(in Value value) =>
        value.Kind is Kind.Bool or Kind.Error ? value : Value.Error($"\"{(isAnd ? "&&" : "||")}\" takes bools, not {value.Kind.Name()}");
}

internal sealed class ChoiceNode(Kind kind, Node condition, Node yes, Node no, string source) : Node(kind, source, condition, yes, no)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var value = condition.Evaluate(ref frame);
        return value.Kind switch
        {
            Kind.Bool => (value.IsTrue ? yes : no).Evaluate(ref frame),
            Kind.Error => value,
            _ => Value.Error($"the condition before \"?\" must be a bool, not {value.Kind.Name()}"),
        };
    }
}

internal sealed class ListNode(Node[] items, string source) : Node(Kind.List, source, items)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var values = new Value[items.Length];
        for (var i = 0; i < items.Length; i++)
        {
            values[i] = items[i].Evaluate(ref frame);
            if (values[i].IsError)
            {
                return values[i];
            }
        }

        return Value.Of(values);
    }
}

/// <summary>A map; names and values stand in turn.</summary>
internal sealed class MapNode(Node[] members, string source) : Node(Kind.Map, source, members)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var map = new ValueMap(members.Length / 2);
        for (var i = 0; i < members.Length; i += 2)
        {
            var name = members[i].Evaluate(ref frame);
            var value = members[i + 1].Evaluate(ref frame);
            if (name.IsError || value.IsError)
            {
                return name.IsError ? name : value;
            }

            if (name.Kind != Kind.String)
            {
                return Value.Error($"the names of a map are strings, not {name.Kind.Name()}");
            }

            if (!map.TryAdd(name.String, value))
            {
                return Value.Error($"the map has the name \"{name.String}\" twice");
            }
        }

        return Value.Of(map);
    }
}
