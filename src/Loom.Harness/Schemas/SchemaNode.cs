using System.Text.Json;
using Loom.Harness.Expressions;

namespace Loom.Harness.Schemas;

/// <summary>What a JSON value may be, one bit each.</summary>
[Flags]
internal enum SchemaTypes : byte
{
    None = 0,
    Null = 1,
    Boolean = 2,
    Integer = 4,
    Number = 8,
    String = 16,
    Array = 32,
    Object = 64,
    Any = Null | Boolean | Integer | Number | String | Array | Object,
}

/// <summary>A compiled schema or part of one: every keyword in the form that is quickest to check.</summary>
internal sealed class SchemaNode
{
    /// <summary>A schema nothing fits.</summary>
    public static SchemaNode Nothing { get; } = new() { Types = SchemaTypes.None };

    /// <summary>A schema everything fits.</summary>
    public static SchemaNode Everything { get; } = new();

    public SchemaTypes Types { get; init; } = SchemaTypes.Any;

    public SchemaProperty[] Properties { get; init; } = [];

    /// <summary>Bits of the properties that must be there.</summary>
    public ulong Required { get; init; }

    /// <summary>Schema of properties not named; null when they may be anything.</summary>
    public SchemaNode? Additional { get; init; }

    /// <summary>Schema of an array's members; null when they may be anything.</summary>
    public SchemaNode? Items { get; init; }

    /// <summary>Values of enum or const; null when there is neither.</summary>
    public SchemaValue[]? Values { get; init; }

    public NumberBound? Minimum { get; init; }

    public NumberBound? Maximum { get; init; }

    public int MinLength { get; init; }

    public int MaxLength { get; init; } = int.MaxValue;

    public int MinItems { get; init; }

    public int MaxItems { get; init; } = int.MaxValue;

    public int MinProperties { get; init; }

    public int MaxProperties { get; init; } = int.MaxValue;

    public bool HasLengths => MinLength > 0 || MaxLength < int.MaxValue;

    /// <summary>Whether values of the types it allows need no further look.</summary>
    public bool IsTypeOnly => Properties.Length == 0 && Required == 0 && Additional is null && Items is null && Values is null && Minimum is null && Maximum is null
        && !HasLengths && MinItems == 0 && MaxItems == int.MaxValue && MinProperties == 0 && MaxProperties == int.MaxValue;
}

/// <summary>A property that is named.</summary>
internal sealed class SchemaProperty(string name, SchemaNode schema)
{
    public string Name { get; } = name;

    public byte[] Utf8 { get; } = System.Text.Encoding.UTF8.GetBytes(name);

    public SchemaNode Schema { get; } = schema;
}

/// <summary>One value of an enum: a string, a number, true, false or null.</summary>
internal readonly record struct SchemaValue(JsonTokenType Token, byte[] Utf8, Value Number);

/// <summary>A bound of a number.</summary>
/// <param name="Value">The bound.</param>
/// <param name="Exclusive">Whether the bound itself is outside.</param>
internal sealed record NumberBound(Value Value, bool Exclusive)
{
    public bool AdmitsAbove(in Value number) => Operators.Compare(number, Value) is var order && (Exclusive ? order > 0 : order >= 0);

    public bool AdmitsBelow(in Value number) => Operators.Compare(number, Value) is var order && (Exclusive ? order < 0 : order <= 0);

    public override string ToString() => CanonicalJson.Of(Value);
}
