using System.Linq.Expressions;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Harness.Expressions;
using Expression = System.Linq.Expressions.Expression;

namespace Loom.Harness.Schemas;

/// <summary>Collects the checks of one payload type as one expression, which gives the index of the first fault or -1.</summary>
internal sealed class ClrSchemaBuilder(JsonNamingPolicy? naming)
{
    private const int DepthLimit = 8;

    private readonly List<Expression> _steps = [];
    private readonly List<SchemaFault> _faults = [];
    private readonly List<ParameterExpression> _variables = [];
    private readonly LabelTarget _end = Expression.Label(typeof(int));
    private int _depth;

    public SchemaFault[] Faults => [.. _faults];

    public Expression Build() => Expression.Block(_variables, [.. _steps, Expression.Label(_end, Expression.Constant(-1))]);

    /// <summary>Adds the checks of one value; false when its type or its schema is not of the simple ones.</summary>
    public bool TryAdd(Expression value, SchemaNode schema, string pointer)
    {
        var type = value.Type;
        if (Nullable.GetUnderlyingType(type) is not null)
        {
            return TryAddNullable(Expression.Property(value, "HasValue"), () => Expression.Property(value, "Value"), schema, pointer);
        }

        if (type == typeof(string))
        {
            return TryAddNullable(Expression.ReferenceNotEqual(value, Expression.Constant(null)), () => value, schema, pointer);
        }

        if (type == typeof(bool))
        {
            return TryAddScalar(value, schema, SchemaTypes.Boolean, "a boolean", pointer, JsonTokenType.True);
        }

        if (type == typeof(int) || type == typeof(long) || type == typeof(short) || type == typeof(byte) || type == typeof(uint))
        {
            return TryAddNumber(Expression.Convert(value, typeof(long)), schema, pointer);
        }

        if (type == typeof(double) || type == typeof(float))
        {
            return TryAddNumber(Expression.Convert(value, typeof(double)), schema, pointer);
        }

        return IsRecord(type) && (type.IsValueType
            ? TryAddRecord(value, schema, pointer)
            : TryAddNullable(Expression.ReferenceNotEqual(value, Expression.Constant(null)), () => value, schema, pointer));
    }

    private static bool IsRecord(Type type) =>
        !type.IsPrimitive && !type.IsEnum && !type.IsInterface && !type.IsArray && type.Namespace?.StartsWith("System", StringComparison.Ordinal) != true
        && !typeof(System.Collections.IEnumerable).IsAssignableFrom(type) && type.GetCustomAttribute<JsonConverterAttribute>() is null
        && type.GetCustomAttribute<JsonPolymorphicAttribute>() is null;

    // Null is written as null: judged by the type alone, or by an enum that has it.
    private bool TryAddNullable(Expression isThere, Func<Expression> inner, SchemaNode schema, string pointer)
    {
        var nullFits = (schema.Types & SchemaTypes.Null) != 0 && (schema.Values is null || Array.Exists(schema.Values, v => v.Token == JsonTokenType.Null));
        var over = Expression.Label();
        _steps.Add(Expression.IfThen(Expression.Not(isThere), nullFits ? Expression.Goto(over) : Fail(pointer, WrongType(schema, SchemaTypes.Null, "null"))));
        var value = inner();
        var added = value.Type == typeof(string) ? TryAddText(value, schema, pointer) : IsRecord(value.Type) ? TryAddRecord(value, schema, pointer) : TryAdd(value, schema, pointer);
        _steps.Add(Expression.Label(over));
        return added;
    }

    private bool TryAddText(Expression value, SchemaNode schema, string pointer)
    {
        if (!Allows(schema, SchemaTypes.String, "a string", pointer))
        {
            return true;
        }

        if (schema.HasLengths)
        {
            var length = Local(Expression.Call(typeof(ClrSchemaChecks), nameof(ClrSchemaChecks.Length), null, value));
            if (schema.MinLength > 0)
            {
                Require(Expression.GreaterThanOrEqual(length, Expression.Constant(schema.MinLength)), pointer, $"must have at least {schema.MinLength} characters");
            }

            if (schema.MaxLength < int.MaxValue)
            {
                Require(Expression.LessThanOrEqual(length, Expression.Constant(schema.MaxLength)), pointer, $"must have at most {schema.MaxLength} characters");
            }
        }

        if (schema.Values is not null)
        {
            var texts = schema.Values.Where(v => v.Token == JsonTokenType.String).Select(v => System.Text.Encoding.UTF8.GetString(v.Utf8)).ToArray();
            Require(Expression.Call(typeof(ClrSchemaChecks), nameof(ClrSchemaChecks.IsAmong), null, value, Expression.Constant(texts)), pointer, "is none of the values the schema allows");
        }

        return true;
    }

    private bool TryAddNumber(Expression value, SchemaNode schema, string pointer)
    {
        var number = Local(value);
        if ((schema.Types & SchemaTypes.Integer) == 0)
        {
            return Allows(schema, SchemaTypes.Number, "a number", pointer);
        }

        if (number.Type == typeof(double))
        {
            // JSON has no place for these at all.
            Require(Expression.Call(typeof(double), nameof(double.IsFinite), null, number), pointer, "is no number JSON can carry");
            if ((schema.Types & SchemaTypes.Number) == 0)
            {
                Require(Expression.Equal(number, Expression.Call(typeof(Math), nameof(Math.Truncate), null, number)), pointer, "must be an integer, not a number");
            }
        }

        AddBound(number, schema.Minimum, isMinimum: true, pointer);
        AddBound(number, schema.Maximum, isMinimum: false, pointer);
        if (schema.Values is not null)
        {
            var numbers = schema.Values.Where(v => v.Token == JsonTokenType.Number).Select(v => v.Number).ToArray();
            Require(Expression.Call(typeof(ClrSchemaChecks), nameof(ClrSchemaChecks.IsAmong), null, number, Expression.Constant(numbers)), pointer, "is none of the values the schema allows");
        }

        return true;
    }

    private void AddBound(Expression number, NumberBound? bound, bool isMinimum, string pointer)
    {
        if (bound is null)
        {
            return;
        }

        var isInt = number.Type == typeof(long);
        var message = isMinimum ? $"must be {(bound.Exclusive ? "above" : "at least")} {bound}" : $"must be {(bound.Exclusive ? "below" : "at most")} {bound}";
        if (isInt && bound.Value.Kind != Kind.Int)
        {
            // An int against a double: rare, and exact only this way.
            Require(Expression.Call(typeof(ClrSchemaChecks), nameof(ClrSchemaChecks.Admits), null, number, Expression.Constant(bound), Expression.Constant(isMinimum)), pointer, message);
            return;
        }

        Expression limit = isInt ? Expression.Constant(bound.Value.Int) : Expression.Constant(bound.Value.Double);
        Require(
            (isMinimum, bound.Exclusive) switch
            {
                (true, false) => Expression.GreaterThanOrEqual(number, limit),
                (true, true) => Expression.GreaterThan(number, limit),
                (false, false) => Expression.LessThanOrEqual(number, limit),
                _ => Expression.LessThan(number, limit),
            },
            pointer,
            message);
    }

    private bool TryAddScalar(Expression value, SchemaNode schema, SchemaTypes type, string name, string pointer, JsonTokenType whenTrue)
    {
        if (Allows(schema, type, name, pointer) && schema.Values is not null)
        {
            var yes = Array.Exists(schema.Values, v => v.Token == whenTrue);
            var no = Array.Exists(schema.Values, v => v.Token == JsonTokenType.False);
            Require(Expression.Condition(value, Expression.Constant(yes), Expression.Constant(no)), pointer, "is none of the values the schema allows");
        }

        return true;
    }

    private bool TryAddRecord(Expression value, SchemaNode schema, string pointer)
    {
        if (++_depth > DepthLimit || schema.Values is not null)
        {
            return false;
        }

        if (!Allows(schema, SchemaTypes.Object, "an object", pointer))
        {
            return true;
        }

        var members = value.Type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => p.GetIndexParameters().Length == 0 && p.CanRead && p.Name != "EqualityContract").ToList();
        if (members.Exists(p => p.GetCustomAttribute<JsonIgnoreAttribute>() is not null || p.GetCustomAttribute<JsonConverterAttribute>() is not null
            || p.GetCustomAttribute<JsonExtensionDataAttribute>() is not null))
        {
            return false;
        }

        var byName = members.ToDictionary(Name, StringComparer.Ordinal);
        var isComplete = schema.Properties.Where((_, i) => i < 64 && (schema.Required & (1UL << i)) != 0).All(p => byName.ContainsKey(p.Name));
        if (!isComplete || members.Count < schema.MinProperties || members.Count > schema.MaxProperties)
        {
            // Every payload of this type is wrong; the serialised one says how.
            return false;
        }

        foreach (var (name, member) in byName)
        {
            var node = Array.Find(schema.Properties, p => p.Name == name)?.Schema ?? schema.Additional;
            if (node is not null && !TryAdd(Expression.Property(value, member), node, $"{pointer}/{name}"))
            {
                return false;
            }
        }

        _depth--;
        return true;
    }

    private string Name(PropertyInfo member) =>
        member.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? naming?.ConvertName(member.Name) ?? member.Name;

    // Whether the type can fit at all; if not, every value is a fault.
    private bool Allows(SchemaNode schema, SchemaTypes type, string name, string pointer)
    {
        if ((schema.Types & type) != 0)
        {
            return true;
        }

        _steps.Add(Fail(pointer, WrongType(schema, type, name)));
        return false;
    }

    private static string WrongType(SchemaNode schema, SchemaTypes type, string found) =>
        (schema.Types & type) != 0 ? "is none of the values the schema allows" : schema.Types == SchemaTypes.None ? "is not allowed" : $"must be {SchemaText.Of(schema.Types)}, not {found}";

    private ParameterExpression Local(Expression value)
    {
        var local = Expression.Variable(value.Type);
        _variables.Add(local);
        _steps.Add(Expression.Assign(local, value));
        return local;
    }

    private void Require(Expression condition, string pointer, string message) => _steps.Add(Expression.IfThen(Expression.Not(condition), Fail(pointer, message)));

    private GotoExpression Fail(string pointer, string message)
    {
        _faults.Add(new SchemaFault(pointer, message));
        return Expression.Return(_end, Expression.Constant(_faults.Count - 1), typeof(int));
    }
}

/// <summary>Checks that are easier written than built.</summary>
internal static class ClrSchemaChecks
{
    public static int Length(string text) => (int)Expressions.Functions.TextFunctions.Length(text);

    public static bool IsAmong(string text, string[] texts) => Array.IndexOf(texts, text) >= 0;

    public static bool IsAmong(long number, Value[] numbers) => Contains(Value.Of(number), numbers);

    public static bool IsAmong(double number, Value[] numbers) => Contains(Value.Of(number), numbers);

    public static bool Admits(long number, NumberBound bound, bool isMinimum) =>
        isMinimum ? bound.AdmitsAbove(Value.Of(number)) : bound.AdmitsBelow(Value.Of(number));

    private static bool Contains(in Value number, Value[] numbers)
    {
        foreach (ref readonly var one in numbers.AsSpan())
        {
            if (Operators.Compare(one, number) == 0)
            {
                return true;
            }
        }

        return false;
    }
}
