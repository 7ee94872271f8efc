using System.Text.Json;
using Newtonsoft.Json.Linq;
using NJsonSchema;
using NJsonSchema.Validation;

namespace Loom.Harness.Schemas;

/// <summary>
/// Checks payloads with NJsonSchema. Where the library's verdict is not JSON Schema's (it takes "1" for 1 in an enum, ignores const,
/// counts an emoji as two characters, asks numbers for required properties, calls 1.0 no integer) the schema is rewritten into one on which both agree.
/// </summary>
internal sealed class LibrarySchema
{
    private readonly JsonSchema _schema;

    private LibrarySchema(JsonSchema schema) => _schema = schema;

    /// <summary>Compiles a schema that has passed <see cref="SchemaKeywords"/>.</summary>
    /// <exception cref="SchemaException">The library cannot read it.</exception>
    public static LibrarySchema Compile(JsonElement schema)
    {
        try
        {
            // Nothing is awaited: references lead into the schema itself.
            return new LibrarySchema(JsonSchema.FromJsonAsync(LibraryRewrite.Of(schema).ToString()).GetAwaiter().GetResult());
        }
        catch (Exception e) when (e is Newtonsoft.Json.JsonException or InvalidOperationException or ArgumentException)
        {
            throw new SchemaException("", $"cannot be read: {e.Message}");
        }
    }

    public SchemaFault? Check(ReadOnlySpan<byte> utf8Json)
    {
        JToken payload;
        try
        {
            payload = LibraryRewrite.Payload(JsonElement.Parse(utf8Json));
        }
        catch (JsonException e)
        {
            return new SchemaFault("", $"is not JSON: {e.Message}");
        }

        ICollection<ValidationError> errors;
        try
        {
            errors = _schema.Validate(payload);
        }
        catch (OverflowException)
        {
            return new SchemaFault("", "holds a number beyond the range of bounds (about 10 to the power of 28)");
        }

        return errors.Count == 0 ? null : Fault(errors.First());
    }

    // The innermost reason says most; for a choice of schemas only the whole can be named.
    private static SchemaFault Fault(ValidationError error)
    {
        while (error is ChildSchemaValidationError { Kind: not (ValidationErrorKind.NotAnyOf or ValidationErrorKind.NotOneOf) } outer
            && outer.Errors.Values.SelectMany(e => e).FirstOrDefault() is { } inner)
        {
            error = inner;
        }

        return new SchemaFault(Pointer(error.Path ?? ""), Message(error));
    }

    private static string Message(ValidationError error) => error.Kind switch
    {
        ValidationErrorKind.PropertyRequired => "is required and missing",
        ValidationErrorKind.NoAdditionalPropertiesAllowed => "is not allowed: the schema names all properties",
        ValidationErrorKind.NotInEnumeration => "is none of the values the schema allows",
        ValidationErrorKind.NotAnyOf when LibraryRewrite.IsValues(error.Schema) => "is none of the values the schema allows",
        ValidationErrorKind.NotAnyOf => "fits none of the schemas in anyOf",
        ValidationErrorKind.NotOneOf => "must fit exactly one of the schemas in oneOf",
        ValidationErrorKind.ExcludedSchemaValidates => "fits the schema in not",
        ValidationErrorKind.PatternMismatch => LibraryRewrite.LengthText(error.Schema?.Pattern) ?? $"does not match the pattern {error.Schema?.Pattern}",
        ValidationErrorKind.StringExpected => "must be a string",
        ValidationErrorKind.NumberExpected when LibraryRewrite.IsInteger(error.Schema) => "must be an integer",
        ValidationErrorKind.NumberExpected => "must be a number",
        ValidationErrorKind.IntegerExpected => "must be an integer",
        ValidationErrorKind.BooleanExpected => "must be a boolean",
        ValidationErrorKind.ObjectExpected => "must be an object",
        ValidationErrorKind.ArrayExpected => "must be an array",
        ValidationErrorKind.NullExpected => "must be null",
        ValidationErrorKind.NumberTooSmall => $"must be at least {error.Schema?.Minimum ?? error.Schema?.ExclusiveMinimum}",
        ValidationErrorKind.NumberTooBig => $"must be at most {error.Schema?.Maximum ?? error.Schema?.ExclusiveMaximum}",
        ValidationErrorKind.NumberNotMultipleOf when error.Schema?.MultipleOf == 1 => "must be an integer",
        ValidationErrorKind.NumberNotMultipleOf => $"must be a multiple of {error.Schema?.MultipleOf}",
        ValidationErrorKind.ItemsNotUnique => "must not have two equal items",
        ValidationErrorKind.TooFewItems => $"must have at least {error.Schema?.MinItems} items",
        ValidationErrorKind.TooManyItems => $"must have at most {error.Schema?.MaxItems} items",
        ValidationErrorKind.TooManyItemsInTuple => "is one item too many",
        ValidationErrorKind.TooFewProperties => $"must have at least {error.Schema?.MinProperties} properties",
        ValidationErrorKind.TooManyProperties => $"must have at most {error.Schema?.MaxProperties} properties",
        ValidationErrorKind.NoTypeValidates => "is of none of the types the schema allows",
        _ when error.Schema?.Format is { } format => $"must have the format {format}",
        _ => $"does not fit the schema ({error.Kind})",
    };

    // The library writes #/a.b[0]; a dot inside a name cannot be told from one between names.
    private static string Pointer(string path)
    {
        var text = path.TrimStart('#').TrimStart('/').Replace("]", "", StringComparison.Ordinal);
        var parts = text.Split(['.', '[', '/'], StringSplitOptions.RemoveEmptyEntries);
        return string.Concat(parts.Select(p => $"/{p.Replace("~", "~0", StringComparison.Ordinal)}"));
    }
}
