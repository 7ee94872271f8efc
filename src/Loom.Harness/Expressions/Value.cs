using System.Runtime.InteropServices;
using System.Text.Json;

namespace Loom.Harness.Expressions;

/// <summary>
/// A value while an expression is evaluated. What comes out of a payload stays where it is: its text is read only when it is asked for, and
/// leaves as it came (a number of 30 digits passes through unchanged). Nothing is boxed.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal readonly struct Value
{
    private readonly JsonElement _json;
    private readonly object? _object;
    private readonly long _bits;

    private Value(Kind kind, JsonElement json, object? content, long bits)
    {
        Kind = kind;
        _json = json;
        _object = content;
        _bits = bits;
    }

    public static Value Null => new(Kind.Null, default, null, 0);

    public static Value True => new(Kind.Bool, default, null, 1);

    public static Value False => new(Kind.Bool, default, null, 0);

    public Kind Kind { get; }

    public bool IsError => Kind == Kind.Error;

    public bool IsTrue => Kind == Kind.Bool && _bits != 0;

    public bool IsFalse => Kind == Kind.Bool && _bits == 0;

    public long Int => _bits;

    public double Double => Kind == Kind.Int ? _bits : BitConverter.Int64BitsToDouble(_bits);

    /// <summary>Of a string; made when it is asked for.</summary>
    public string String => _object as string ?? _json.GetString()!;

    /// <summary>UTC.</summary>
    public DateTimeOffset Timestamp => new(_bits, TimeSpan.Zero);

    public TimeSpan Duration => new(_bits);

    /// <summary>The payload it came from; undefined for a value that was computed.</summary>
    public JsonElement Json => _json;

    /// <summary>What an error says; a <see cref="Node"/> when the field it stands for is missing.</summary>
    public object? Content => _object;

    /// <summary>How many members a list or map has.</summary>
    public int Count => _object switch
    {
        Value[] items => items.Length,
        ValueMap map => map.Count,
        IReadOnlyDictionary<string, string> names => names.Count,
        _ => Kind == Kind.List ? _json.GetArrayLength() : _json.GetPropertyCount(),
    };

    public static Value Of(bool value) => value ? True : False;

    public static Value Of(long value) => new(Kind.Int, default, null, value);

    public static Value Of(double value) => new(Kind.Double, default, null, BitConverter.DoubleToInt64Bits(value));

    public static Value Of(string? value) => value is null ? Null : new(Kind.String, default, value, 0);

    public static Value Of(DateTimeOffset value) => new(Kind.Timestamp, default, null, value.UtcTicks);

    public static Value Of(TimeSpan value) => new(Kind.Duration, default, null, value.Ticks);

    public static Value Of(Value[] items) => new(Kind.List, default, items, 0);

    public static Value Of(ValueMap map) => new(Kind.Map, default, map, 0);

    public static Value Of(IReadOnlyDictionary<string, string> names) => new(Kind.Map, default, names, 0);

    public static Value Of(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => new(Kind.Map, json, null, 0),
        JsonValueKind.Array => new(Kind.List, json, null, 0),
        JsonValueKind.String => new(Kind.String, json, null, 0),
        JsonValueKind.Number => json.TryGetInt64(out var integer)
            ? new(Kind.Int, json, null, integer)
            : new(Kind.Double, json, null, BitConverter.DoubleToInt64Bits(json.GetDouble())),
        JsonValueKind.True => new(Kind.Bool, json, null, 1),
        JsonValueKind.False => new(Kind.Bool, json, null, 0),
        _ => Null,
    };

    /// <summary>Something went wrong, for the reasons given.</summary>
    public static Value Error(string message) => new(Kind.Error, default, message, 0);

    /// <summary>The field this node stands for is not there.</summary>
    public static Value Missing(Node node) => new(Kind.Error, default, node, 0);

    /// <summary>A member of a map by name.</summary>
    public bool TryField(string name, out Value value)
    {
        switch (_object)
        {
            case ValueMap map:
                return map.TryGet(name, out value);
            case IReadOnlyDictionary<string, string> names:
                var found = names.TryGetValue(name, out var text);
                value = Of(text);
                return found;
            default:
                if (Kind == Kind.Map && _json.TryGetProperty(name, out var member))
                {
                    value = Of(member);
                    return true;
                }

                value = default;
                return false;
        }
    }

    /// <summary>A member of a list; the index must lie inside.</summary>
    public Value At(int index) => _object is Value[] items ? items[index] : Of(_json[index]);

    /// <summary>Whether two values are the same: numbers by value whatever their kind, lists and maps by their members.</summary>
    public bool Same(in Value other)
    {
        if (Kind != other.Kind)
        {
            return Kind.IsNumber() && other.Kind.IsNumber() && Operators.Compare(this, other) == 0;
        }

        return Kind switch
        {
            Kind.Null => true,
            Kind.Bool or Kind.Int or Kind.Timestamp or Kind.Duration => _bits == other._bits,
            // NaN is not even equal to itself.
            Kind.Double => Double.CompareTo(other.Double) == 0 && !double.IsNaN(Double),
            Kind.String => SameText(other),
            Kind.List => SameItems(other),
            Kind.Map => SameMembers(other),
            _ => false,
        };
    }

    private bool SameText(in Value other)
    {
        if (_object is string text)
        {
            return other._object is string otherText ? string.Equals(text, otherText, StringComparison.Ordinal) : other._json.ValueEquals(text);
        }

        return _json.ValueEquals(other.String);
    }

    private bool SameItems(in Value other)
    {
        if (Count != other.Count)
        {
            return false;
        }

        var mine = new Items(this);
        var theirs = new Items(other);
        while (mine.MoveNext() && theirs.MoveNext())
        {
            if (!mine.Current.Same(theirs.Current))
            {
                return false;
            }
        }

        return true;
    }

    private bool SameMembers(in Value other)
    {
        if (Count != other.Count)
        {
            return false;
        }

        for (var mine = new Items(this); mine.MoveNext();)
        {
            if (!other.TryField(mine.Name, out var theirs) || !mine.Member.Same(theirs))
            {
                return false;
            }
        }

        return true;
    }
}
