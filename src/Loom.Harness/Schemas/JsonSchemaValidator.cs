using System.Runtime.InteropServices;
using System.Text.Json;

namespace Loom.Harness.Schemas;

/// <summary>
/// A JSON Schema ready to check payloads. Schemas made only of <c>type required properties additionalProperties items enum const</c>, bounds and
/// lengths are compiled and checked over the UTF-8 bytes, without a tree and without allocating on success; all others go through a library,
/// at microseconds and kilobytes a payload. Both give the same verdicts. Immutable; safe from any number of threads.
/// </summary>
internal sealed class JsonSchemaValidator
{
    private readonly CompiledSchema? _compiled;
    private readonly LibrarySchema? _library;

    private JsonSchemaValidator(CompiledSchema? compiled, LibrarySchema? library)
    {
        _compiled = compiled;
        _library = library;
    }

    /// <summary>Whether it takes the fast way.</summary>
    public bool IsCompiled => _compiled is not null;

    /// <summary>Compiles a schema.</summary>
    /// <exception cref="SchemaException">A keyword that is not supported, or is used wrongly, and where.</exception>
    public static JsonSchemaValidator Compile(JsonElement schema)
    {
        SchemaKeywords.Check(schema);
        return SchemaCompiler.TryCompile(schema) is { } compiled ? new(new CompiledSchema(compiled), null) : new(null, LibrarySchema.Compile(schema));
    }

    /// <summary>The first fault of a payload, or null when it fits.</summary>
    public SchemaFault? Check(ReadOnlySpan<byte> utf8Json) => _compiled is not null ? _compiled.Check(utf8Json) : _library!.Check(utf8Json);

    /// <summary>The first fault of a payload, or null when it fits.</summary>
    public SchemaFault? Check(JsonElement payload) =>
        payload.ValueKind == JsonValueKind.Undefined ? new SchemaFault("", "is empty") : Check(JsonMarshal.GetRawUtf8Value(payload));
}
