using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Core.Handoff;

/// <summary>What a handoff file says, or why it says nothing.</summary>
/// <param name="Document">The document; null = it cannot be read.</param>
/// <param name="Trouble">Where it is wrong and what was expected; null = it is not.</param>
public sealed record HandoffReading(HandoffDocument? Document, string? Trouble);

/// <summary>Reads the bytes of a handoff file. Pure. Unknown fields are ignored, a field that is null is not there.</summary>
public static class HandoffReader
{
    private const int MostSlots = 256;

    private static readonly ImmutableArray<string> s_modes = ["external", "source", "container", "package", "binary"];

    /// <summary>Reads; a trouble names line and column, the field, what was expected and what was found.</summary>
    public static HandoffReading Read(ReadOnlySpan<byte> content)
    {
        if (content.StartsWith(Encoding.UTF8.Preamble))
        {
            content = content[Encoding.UTF8.Preamble.Length..];
        }

        try
        {
            using var json = JsonDocument.Parse(content.ToArray());
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                return new HandoffReading(null, $"line 1, column 1: expected an object {{...}}, found {Kind(json.RootElement)}");
            }

            return Check(json.RootElement, "") is { } fault
                ? new HandoffReading(null, $"{Place(content, fault.Path)}: {fault.Path}: expected {fault.Expected}, found {fault.Found}")
                : new HandoffReading(Document(json.RootElement), null);
        }
        catch (JsonException e)
        {
            var (line, column) = ((e.LineNumber ?? 0) + 1, (e.BytePositionInLine ?? 0) + 1);
            return new HandoffReading(null, string.Create(CultureInfo.InvariantCulture, $"line {line}, column {column}: expected JSON, found {Near(content, line, column)}"));
        }
        catch (InvalidOperationException)
        {
            return new HandoffReading(null, "line 1, column 1: expected text in UTF-8, found half a surrogate pair"); // JSON by its grammar, no text
        }
    }

    /// <summary>
    /// Judges the engine that somebody describes in a request by the same rules as a file; pool and replica it does not name are those given.
    /// </summary>
    /// <exception cref="ProblemException">400 with the path below <c>prepared</c>, what was expected and what was found.</exception>
    public static HandoffDocument Judge(HandoffDocument prepared, string pool)
    {
        var named = prepared with
        {
            // To the serializer a field that is not there is none of the defaults.
            Schema = prepared.Schema == 0 ? 1 : prepared.Schema,
            PoolId = prepared.PoolId ?? pool,
            ReplicaId = prepared.ReplicaId ?? "r0",
            Flags = prepared.Flags.IsDefault ? [] : prepared.Flags,
        };
        var json = JsonSerializer.SerializeToElement(named, NodeJson.Default.HandoffDocument);
        return Check(json, "") is { } fault
            ? throw new ProblemException(Problem.Invalid($"prepared.{fault.Path}", $"expected {fault.Expected}, found {fault.Found}"))
            : Document(json);
    }

    private static Fault? Check(JsonElement json, string prefix)
    {
        foreach (var (name, expected, fits) in prefix.Length == 0 ? s_fields : s_modelFields)
        {
            var path = prefix + name;
            var there = json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;
            if (!there && (path is "pool_id" or "replica_id" or "model.id"))
            {
                return new Fault(path, expected, "nothing");
            }

            if (there && !fits(value))
            {
                return new Fault(path, expected, Kind(value));
            }

            if (there && name == "model" && prefix.Length == 0 && Check(value, "model.") is { } inner)
            {
                return inner;
            }
        }

        return null;
    }

    private static readonly ImmutableArray<(string Name, string Expected, Func<JsonElement, bool> Fits)> s_fields =
    [
        ("schema", "1, the version this Loom reads", v => Number(v) == 1),
        ("state", "\"prepared\" or \"running\"", v => Text(v) is "prepared" or "running"),
        ("engine", "the name of an engine kind", v => Text(v) is { Length: > 0 and <= 64 }),
        ("engine_version", "a text", v => Text(v) is not null),
        ("provisioning_mode", $"one of {string.Join(", ", s_modes)}", v => Text(v) is { } mode && s_modes.Contains(mode)),
        ("pool_id", "1 to 128 of A-Z a-z 0-9 . _ -", v => IsId(Text(v))),
        ("replica_id", "1 to 128 of A-Z a-z 0-9 . _ -", v => IsId(Text(v))),
        ("model", "an object with an id", v => v.ValueKind == JsonValueKind.Object),
        ("binary_path", "an absolute path", v => Text(v) is ['/', ..]),
        ("flags", "a list of texts", v => v.ValueKind == JsonValueKind.Array && v.EnumerateArray().All(i => Text(i) is not null)),
        ("env", "a table of texts", v => v.ValueKind == JsonValueKind.Object && v.EnumerateObject().All(i => i.Name.Length > 0 && !i.Name.Contains('=') && Text(i.Value) is not null)),
        ("device_mask", "indices, UUIDs or none, separated by commas", v => Text(v) is not null),
        ("slots", "a whole number from 1 to 256", v => Number(v) is >= 1 and <= MostSlots),
        ("slots_total", "a whole number from 1 to 256", v => Number(v) is >= 1 and <= MostSlots),
        ("slots_free", "a whole number", v => Number(v) is not null),
        ("url", "an address http://HOST:PORT or https://HOST:PORT", v => Uri.TryCreate(Text(v), UriKind.Absolute, out var url) && url.Scheme is "http" or "https"),
        ("pid", "a process id", v => Number(v) is > 0),
        ("mock", "true or false", v => v.ValueKind is JsonValueKind.True or JsonValueKind.False),
    ];

    private static readonly ImmutableArray<(string Name, string Expected, Func<JsonElement, bool> Fits)> s_modelFields =
    [
        ("id", "the id of a model", v => Text(v) is { Length: > 0 and <= 512 }),
        ("path", "an absolute path", v => Text(v) is ['/', ..]),
        ("sha256", "64 hex digits", v => Text(v) is { Length: 64 } hex && hex.All(char.IsAsciiHexDigit)),
    ];

    // By hand: to the serializer a null is a value, here it is a field that is not there.
    private static HandoffDocument Document(JsonElement json)
    {
        var url = TextOf(json, "url");
        return new HandoffDocument
        {
            State = TextOf(json, "state") ?? (url is null ? "prepared" : "running"),
            Engine = TextOf(json, "engine"),
            EngineVersion = TextOf(json, "engine_version"),
            ProvisioningMode = TextOf(json, "provisioning_mode"),
            PoolId = TextOf(json, "pool_id"),
            ReplicaId = TextOf(json, "replica_id"),
            Model = Get(json, "model") is { } model ? new HandoffModel(TextOf(model, "id")!, TextOf(model, "path"), TextOf(model, "sha256")?.ToLowerInvariant()) : null,
            BinaryPath = TextOf(json, "binary_path"),
            Flags = Get(json, "flags") is { } flags ? [.. flags.EnumerateArray().Select(f => f.GetString()!)] : [],
            Env = Get(json, "env") is { } env
                ? env.EnumerateObject().DistinctBy(e => e.Name).ToImmutableDictionary(e => e.Name, e => e.Value.GetString()!, StringComparer.Ordinal) : ImmutableDictionary<string, string>.Empty,
            DeviceMask = TextOf(json, "device_mask"),
            Slots = NumberOf(json, "slots"),
            SlotsTotal = NumberOf(json, "slots_total"),
            SlotsFree = NumberOf(json, "slots_free"),
            Url = url,
            Pid = NumberOf(json, "pid"),
            Mock = Get(json, "mock") is { ValueKind: JsonValueKind.True },
        };
    }

    private static JsonElement? Get(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? TextOf(JsonElement json, string name) => Get(json, name)?.GetString();

    private static int? NumberOf(JsonElement json, string name) => Get(json, name)?.GetInt32();

    private static string? Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int? Number(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : null;

    private static bool IsId(string? id) => id is { Length: > 0 and <= 128 } && id is not ("." or "..") && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.Null => "null",
        _ => Short(value.GetRawText()),
    };

    private static string Short(string text) => text.Length > 60 ? text[..60] + "..." : text;

    private static string Near(ReadOnlySpan<byte> content, long line, long column)
    {
        var lines = Encoding.UTF8.GetString(content).Split('\n');
        var at = line <= lines.Length ? lines[line - 1] : "";
        var rest = column <= at.Length ? at[(int)(column - 1)..].Trim() : "";
        return rest.Length > 0 ? Short(rest) : content.IsEmpty ? "an empty file" : "the end of the line or file";
    }

    // Where the value of a field (or, for one that is missing, its object) stands.
    private static string Place(ReadOnlySpan<byte> content, string path)
    {
        var names = path.Split('.');
        var reader = new Utf8JsonReader(content);
        var at = 0L;
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1)
            {
                var found = reader.ValueTextEquals(names[0]);
                reader.Read();
                if (found)
                {
                    at = names.Length > 1 ? Inner(ref reader, names[1]) : reader.TokenStartIndex;
                }
                else
                {
                    reader.Skip();
                }
            }
        }

        var before = content[..(int)at];
        var line = before.Count((byte)'\n') + 1;
        var column = at - (before.LastIndexOf((byte)'\n') + 1) + 1;
        return string.Create(CultureInfo.InvariantCulture, $"line {line}, column {column}");
    }

    private static long Inner(ref Utf8JsonReader reader, string name)
    {
        var at = reader.TokenStartIndex;
        var depth = reader.CurrentDepth;
        while (reader.Read() && reader.CurrentDepth > depth)
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals(name))
            {
                reader.Read();
                at = reader.TokenStartIndex;
            }
        }

        return at;
    }

    private sealed record Fault(string Path, string Expected, string Found);
}
