using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Expression = System.Linq.Expressions.Expression;

namespace Loom.Harness.Schemas;

/// <summary>
/// Checks payloads of a CLR type against a JSON Schema by reading their properties, without making JSON of them: the verdict is the one the
/// serialised payload would get. Immutable; allocates nothing on success.
/// </summary>
/// <typeparam name="T">The payload: a record of texts, numbers, booleans and further such records.</typeparam>
internal sealed class ClrSchemaValidator<T>
{
    private readonly Func<T, int> _check;
    private readonly SchemaFault[] _faults;

    internal ClrSchemaValidator(Func<T, int> check, SchemaFault[] faults)
    {
        _check = check;
        _faults = faults;
    }

    /// <summary>The first fault of a payload, or null when it fits.</summary>
    public SchemaFault? Check(T payload)
    {
        var index = _check(payload);
        return index < 0 ? null : _faults[index];
    }
}

/// <summary>Builds validators of CLR payloads.</summary>
internal static class ClrSchemaValidator
{
    /// <summary>A validator of the type, or null where only the serialised payload can be judged: other keywords than the simple ones, lists, dictionaries, converters.</summary>
    /// <param name="schema">A schema that <see cref="JsonSchemaValidator.Compile"/> takes.</param>
    /// <param name="naming">How property names become JSON names; null leaves them. <see cref="JsonPropertyNameAttribute"/> goes first.</param>
    public static ClrSchemaValidator<T>? TryCompile<T>(JsonElement schema, JsonNamingPolicy? naming)
    {
        SchemaKeywords.Check(schema);
        if (SchemaCompiler.TryCompile(schema) is not { } node || typeof(T).GetCustomAttribute<JsonConverterAttribute>() is not null)
        {
            return null;
        }

        var builder = new ClrSchemaBuilder(naming);
        var payload = Expression.Parameter(typeof(T), "payload");
        if (!builder.TryAdd(payload, node, ""))
        {
            return null;
        }

        var check = Expression.Lambda<Func<T, int>>(builder.Build(), payload).Compile();
        return new ClrSchemaValidator<T>(check, builder.Faults);
    }
}
