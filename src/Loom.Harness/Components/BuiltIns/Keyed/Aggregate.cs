using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>What one aggregate knows of its window so far. A value; <see cref="Copy"/> where it holds a list.</summary>
internal struct Aggregate
{
    private long _count;
    private long _int;
    private double _real;
    private bool _isReal;
    private long _ticks;
    private Value _best;
    private List<JsonElement>? _items;
    private HashSet<string>? _known;

    /// <summary>Refuses a value this aggregate cannot take; nothing is changed.</summary>
    /// <exception cref="ItemException">The kind does not fit (<c>expression_error</c>) or there are too many values (<c>window_full</c>).</exception>
    public readonly void Check(AggregateOp op, in Value value, int maxValues, string name)
    {
        switch (op)
        {
            case AggregateOp.Count when value.Kind != Kind.Bool:
                throw Wrong(name, "a bool", value.Kind);
            case AggregateOp.Sum or AggregateOp.Avg when !value.Kind.IsNumber() && value.Kind != Kind.Null:
                throw Wrong(name, "a number", value.Kind);
            case AggregateOp.Min or AggregateOp.Max when value.Kind is Kind.List or Kind.Map or Kind.Bool:
                throw Wrong(name, "a number, a string or a timestamp", value.Kind);
            case AggregateOp.Min or AggregateOp.Max when _best.Kind != Kind.Any && value.Kind != Kind.Null
                && value.Kind != _best.Kind && !(value.Kind.IsNumber() && _best.Kind.IsNumber()):
                throw Wrong(name, $"{_best.Kind.Name()}, as the values before it", value.Kind);
            case AggregateOp.Collect or AggregateOp.Distinct when _items?.Count >= maxValues && (op == AggregateOp.Collect || !_known!.Contains(CanonicalJson.Of(value))):
                throw new ItemException("window_full", $"aggregate {name} already holds max_values ({maxValues}) values of this window");
        }
    }

    /// <summary>Takes a value that was checked.</summary>
    public void Add(AggregateOp op, in Value value, long ticks)
    {
        switch (op)
        {
            case AggregateOp.Count:
                _count += value.IsTrue ? 1 : 0;
                break;
            case AggregateOp.Sum or AggregateOp.Avg:
                AddNumber(value);
                break;
            case AggregateOp.Min or AggregateOp.Max:
                AddBest(op, value);
                break;
            case AggregateOp.First or AggregateOp.Last:
                if (_count++ == 0 || (op == AggregateOp.First ? ticks < _ticks : ticks >= _ticks))
                {
                    _ticks = ticks;
                    _items = [Detached(value)];
                }

                break;
            case AggregateOp.Collect:
                (_items ??= []).Add(Detached(value));
                break;
            default:
                if (value.Kind != Kind.Null && (_known ??= new(StringComparer.Ordinal)).Add(CanonicalJson.Of(value)))
                {
                    (_items ??= []).Add(Detached(value));
                }

                break;
        }
    }

    /// <summary>Takes in what another one knows of a later part of the same window.</summary>
    public void Merge(AggregateOp op, in Aggregate other)
    {
        switch (op)
        {
            case AggregateOp.Min or AggregateOp.Max:
                if (other._best.Kind != Kind.Any)
                {
                    AddBest(op, other._best);
                }

                break;
            case AggregateOp.First or AggregateOp.Last:
                if (other._count > 0)
                {
                    var count = _count + other._count;
                    Add(op, Value.Of(other._items![0]), other._ticks);
                    _count = count;
                }

                break;
            case AggregateOp.Collect or AggregateOp.Distinct:
                foreach (var item in other._items ?? [])
                {
                    Add(op, Value.Of(item), 0);
                }

                break;
            default:
                _count += other._count;
                if (op is AggregateOp.Sum or AggregateOp.Avg)
                {
                    var count = _count;
                    AddNumber(other._isReal ? Value.Of(other._real) : Value.Of(other._int));
                    _count = count;
                }

                break;
        }
    }

    public readonly Aggregate Copy() => this with { _items = _items is null ? null : [.. _items], _known = _known is null ? null : new(_known, StringComparer.Ordinal) };

    /// <summary>Writes its result.</summary>
    public readonly void Write(AggregateOp op, Utf8JsonWriter json)
    {
        switch (op)
        {
            case AggregateOp.Count:
                json.WriteNumberValue(_count);
                break;
            case AggregateOp.Sum when !_isReal:
                json.WriteNumberValue(_int);
                break;
            case AggregateOp.Sum when double.IsFinite(_real):
                json.WriteNumberValue(_real);
                break;
            case AggregateOp.Avg when _count > 0 && double.IsFinite(_real):
                json.WriteNumberValue((_isReal ? _real : _int) / _count);
                break;
            case AggregateOp.Min or AggregateOp.Max when _best.Kind != Kind.Any:
                ValueText.TryWrite(_best, json);
                break;
            case AggregateOp.First or AggregateOp.Last when _count > 0:
                _items![0].WriteTo(json);
                break;
            case AggregateOp.Collect or AggregateOp.Distinct:
                WriteItems(json);
                break;
            default:
                json.WriteNullValue();
                break;
        }
    }

    /// <summary>Writes all it knows, for a checkpoint.</summary>
    public readonly void Save(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        json.WriteNumberValue(_count);
        json.WriteNumberValue(_int);
        json.WriteNumberValue(BitConverter.DoubleToInt64Bits(_real));
        json.WriteBooleanValue(_isReal);
        json.WriteNumberValue(_ticks);
        json.WriteNumberValue((int)_best.Kind);
        if (_best.Kind == Kind.Any)
        {
            json.WriteNullValue();
        }
        else
        {
            ValueText.TryWrite(_best, json);
        }

        WriteItems(json);
        json.WriteEndArray();
    }

    public static Aggregate Load(AggregateOp op, JsonElement saved)
    {
        var result = new Aggregate
        {
            _count = saved[0].GetInt64(),
            _int = saved[1].GetInt64(),
            _real = BitConverter.Int64BitsToDouble(saved[2].GetInt64()),
            _isReal = saved[3].GetBoolean(),
            _ticks = saved[4].GetInt64(),
            _best = (Kind)saved[5].GetInt32() switch
            {
                Kind.Any => default,
                Kind.Timestamp => TimeText.TryParseTimestamp(saved[6].GetString()!, out var time) ? Value.Of(time) : default,
                Kind.Duration => TimeText.TryParseDuration(saved[6].GetString()!, out var span) ? Value.Of(span) : default,
                Kind.Double => Value.Of(saved[6].GetDouble()),
                _ => Plain(Value.Of(saved[6])),
            },
        };
        if (saved[7].GetArrayLength() > 0)
        {
            result._items = [.. saved[7].EnumerateArray().Select(v => v.Clone())];
            result._known = op == AggregateOp.Distinct ? result._items.Select(CanonicalJson.Of).ToHashSet(StringComparer.Ordinal) : null;
        }

        return result;
    }

    private readonly void WriteItems(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (var item in _items ?? [])
        {
            item.WriteTo(json);
        }

        json.WriteEndArray();
    }

    private void AddNumber(in Value value)
    {
        if (value.Kind == Kind.Null)
        {
            return;
        }

        _count++;
        if (!_isReal && value.Kind == Kind.Int)
        {
            var sum = unchecked(_int + value.Int);
            if (((_int ^ sum) & (value.Int ^ sum)) >= 0)
            {
                _int = sum;
                return;
            }
        }

        // A double somewhere, or more than an int can hold: doubles from here on.
        _real = (_isReal ? _real : _int) + value.Double;
        _isReal = true;
    }

    private void AddBest(AggregateOp op, in Value value)
    {
        if (value.Kind == Kind.Null)
        {
            return;
        }

        var isBetter = _best.Kind == Kind.Any
            || Operators.Apply(op == AggregateOp.Min ? Operator.Less : Operator.Greater, value, _best).IsTrue;
        _best = isBetter ? Plain(value) : _best;
    }

    // Without the payload it came from, which would be kept alive whole.
    private static Value Plain(in Value value) => value.Kind switch
    {
        Kind.Int => Value.Of(value.Int),
        Kind.Double => Value.Of(value.Double),
        Kind.String => Value.Of(value.String),
        _ => value,
    };

    private static JsonElement Detached(in Value value) => ValueText.TryToJson(value, out var json)
        ? json.Clone()
        : throw new ItemException("expression_error", "a double that is no number cannot be kept");

    private static ItemException Wrong(string name, string wanted, Kind found) => new("expression_error", $"aggregate {name} takes {wanted}, not {found.Name()}");
}
