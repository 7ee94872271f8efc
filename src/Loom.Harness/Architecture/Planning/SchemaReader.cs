using System.Text;
using System.Text.Json;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>schemas</c>: JSON Schemas with a version, inline under <c>schema</c> or in a file.</summary>
internal sealed class SchemaReader(PlanningContext context)
{
    private const long MaxBytes = 4 << 20;
    private readonly FindingList _findings = context.Findings;

    public Dictionary<string, SchemaPlan> Read(YamlMapping? schemas)
    {
        var result = new Dictionary<string, SchemaPlan>(StringComparer.Ordinal);
        foreach (var entry in schemas?.Entries ?? [])
        {
            if (!ComponentPlanner.IsName(entry.Key.Text))
            {
                _findings.Error(Codes.BadName, entry.Key, $"\"{Redaction.Plain(entry.Key.Text)}\" is no name of a schema; use a-z, 0-9 and _, a letter first");
            }

            Variables.Refuse(entry.Value, _findings);
            if (entry.Value is not YamlMapping map)
            {
                _findings.Error(Codes.WrongType, entry.Value, $"schema {entry.Key.Text} is {entry.Value.Kind}; write {{ version, file }} or {{ version, schema }}");
            }
            else if (One(entry.Key.Text, map) is { } schema)
            {
                result[schema.Id] = schema;
            }
        }

        return result;
    }

    private SchemaPlan? One(string id, YamlMapping map)
    {
        var keys = new KeyReader(map, $"schema {id}", _findings);
        var version = keys.Text("version") ?? "1.0.0";
        var file = keys.Text("file");
        var inline = keys.Node("schema");
        keys.Done();
        if (!SystemPlanner.Version().IsMatch(version))
        {
            _findings.Error(Codes.BadVersion, keys.At("version", map), $"version {Redaction.Plain(version)} of schema {id} is not x.y.z, such as 1.0.0");
            version = "1.0.0";
        }

        if ((file is null) == (inline is null))
        {
            _findings.Error(Codes.MissingKey, map, $"schema {id} needs the key \"file\" or the key \"schema\", and only one of them");
            return null;
        }

        var schema = inline is not null ? YamlJson.Element(inline, masked: false) : FromFile(id, file!, keys.At("file", map));
        if (schema is not { } found)
        {
            return null;
        }

        if (SchemaUse.Fault(found) is var (pointer, message))
        {
            _findings.Error(Codes.Schema, inline is null ? keys.At("file", map) : SchemaUse.At(inline, pointer), $"schema {id}{(pointer.Length == 0 ? "" : $" at {pointer}")}: {message}");
        }

        return new SchemaPlan(id, version, found, file);
    }

    private JsonElement? FromFile(string id, string file, YamlNode at)
    {
        var read = context.Files.Read(Path.GetFullPath(file, context.Directory), MaxBytes);
        if (read.Content is not { } content)
        {
            _findings.Error(Codes.Schema, at, $"schema {id}: {(read.Missing ? $"there is no file {file}" : $"{file} cannot be read: {read.Problem}")}");
            return null;
        }

        try
        {
            content = content.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? content[3..] : content;
            using var document = JsonDocument.Parse(content, new JsonDocumentOptions { MaxDepth = 100 });
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            // The message ends with the place, which stands in front here.
            var message = e.Message.Split(" LineNumber:", 2)[0].TrimEnd('.');
            _findings.Error(Codes.Schema, file, (int)(e.LineNumber ?? 0) + 1, (int)(e.BytePositionInLine ?? 0) + 1, $"schema {id} is no JSON: {message}");
            return null;
        }
    }
}
