using System.Text;
using System.Text.Json;

namespace Loom.Harness.Expressions;

/// <summary>Takes a field or a member out of something; only of these can <c>has()</c> be asked.</summary>
internal interface ISelection;

/// <summary>The payload, or a place in it known when the expression is compiled: the way most expressions begin, and the fastest.</summary>
internal sealed class PathNode : Node, ISelection
{
    private readonly (byte[]? Name, int Index)[] _steps;

    public PathNode(string source)
        : this(source, [])
    {
    }

    private PathNode(string source, (byte[]? Name, int Index)[] steps)
        : base(steps.Length == 0 ? Kind.Any : Kind.Any, source)
    {
        _steps = steps;
        IsConstant = false;
        Paths = [this];
    }

    public bool IsRoot => _steps.Length == 0;

    /// <summary>The way to the place; null: a member of a list.</summary>
    public IEnumerable<string?> Steps => _steps.Select(static s => s.Name is null ? null : Encoding.UTF8.GetString(s.Name));

    public PathNode Field(string name, string source) => new(source, [.. _steps, (Encoding.UTF8.GetBytes(name), 0)]);

    public PathNode Index(int index, string source) => new(source, [.. _steps, (null, index)]);

    public override Value Evaluate(ref Frame frame)
    {
        var element = frame.Event.Data;
        foreach (var (name, index) in _steps)
        {
            JsonElement member;
            if (name is not null)
            {
                if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out member))
                {
                    return Value.Missing(this);
                }
            }
            else if (element.ValueKind == JsonValueKind.Array && index < element.GetArrayLength())
            {
                member = element[index];
            }
            else
            {
                return Value.Missing(this);
            }

            element = member;
        }

        return Value.Of(element);
    }
}

/// <summary>A field of something computed.</summary>
internal sealed class FieldNode(Node target, string name, string source) : Node(Kind.Any, source, target), ISelection
{
    public override Value Evaluate(ref Frame frame)
    {
        var value = frame.Step() ? target.Evaluate(ref frame) : TooManySteps();
        return value.IsError ? value : value.TryField(name, out var member) ? member : Value.Missing(this);
    }
}

/// <summary>A member of a list by place, or of a map by name.</summary>
internal sealed class IndexNode(Node target, Node index, string source) : Node(Kind.Any, source, target, index), ISelection
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var value = target.Evaluate(ref frame);
        var place = index.Evaluate(ref frame);
        if (value.IsError || place.IsError)
        {
            return value.IsError ? value : place;
        }

        return (value.Kind, place.Kind) switch
        {
            (Kind.List, Kind.Int) => place.Int >= 0 && place.Int < value.Count ? value.At((int)place.Int) : Value.Missing(this),
            (Kind.Map, Kind.String) => value.TryField(place.String, out var member) ? member : Value.Missing(this),
            (Kind.List or Kind.Map, _) => Value.Error(
                $"{value.Kind.Name()} is asked for {(value.Kind == Kind.List ? "an int" : "a string")}, not for {place.Kind.Name()}: {Source}"),
            _ => Value.Missing(this),
        };
    }
}

/// <summary>Whether the whole way to a field or member is there.</summary>
internal sealed class HasNode(Node selection, string source) : Node(Kind.Bool, source, selection)
{
    public override Value Evaluate(ref Frame frame)
    {
        var value = frame.Step() ? selection.Evaluate(ref frame) : TooManySteps();
        return value.IsError ? value.Content is Node ? Value.False : value : Value.True;
    }
}
