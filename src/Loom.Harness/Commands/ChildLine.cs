using System.Text.Json;
using System.Text.Unicode;
using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Commands;

/// <summary>What a component says about itself.</summary>
/// <param name="MaxInFlight">Items it takes before it has answered; 1 to 10,000, 16 by default.</param>
/// <param name="Stateful">It answers <c>snapshot</c> and takes <c>restore</c>.</param>
/// <param name="Batch">It takes <c>batch</c>.</param>
/// <param name="Replayable">A source that goes on from its state.</param>
/// <param name="Stream">Results are released as they come, not at <c>done</c>.</param>
internal sealed record ChildReady(int MaxInFlight, bool Stateful, bool Batch, bool Replayable, bool Stream);

/// <summary>A line of a component: a closed set.</summary>
internal abstract record ChildLine
{
    private ChildLine()
    {
    }

    internal sealed record Ready(ChildReady Says) : ChildLine;

    /// <param name="N">The item; null = of none.</param>
    /// <param name="Event">What it sent.</param>
    internal sealed record Emit(long? N, ChildEmit Event) : ChildLine;

    internal sealed record Done(long N) : ChildLine;

    internal sealed record Error(long N, ChildError Failure) : ChildLine;

    internal sealed record State(long Id, JsonElement Data) : ChildLine;

    internal sealed record Call(JsonElement Question, string Api, JsonElement Whole) : ChildLine;

    internal sealed record Log(string Level, string Message) : ChildLine;

    internal sealed record Metric(string Name, double Value, IReadOnlyDictionary<string, string> Labels) : ChildLine;

    internal sealed record End : ChildLine;

    internal sealed record Pong : ChildLine;

    internal sealed record Bye : ChildLine;

    /// <summary>Not a message: output of the program, to be logged.</summary>
    internal sealed record Output : ChildLine;

    /// <summary>A message of a known type that cannot be one: the component is broken.</summary>
    internal sealed record Malformed(string Why) : ChildLine;

    /// <summary>Reads a line without its end.</summary>
    public static ChildLine Read(ReadOnlySpan<byte> line)
    {
        if (line.IsEmpty || line.TrimStart(" \t\r"u8) is not [(byte)'{', ..] || !Utf8.IsValid(line))
        {
            return new Output();
        }

        if (!TryParse(line, PayloadJson.MostLevels + 1, out var root))
        {
            // Whatever it is, it is not output: what an emit said would be gone.
            return TryParse(line, PayloadJson.Around.MaxDepth, out root) && root.TryGetProperty("type"u8, out var kind) && kind.ValueKind == JsonValueKind.String && kind.ValueEquals("emit"u8)
                ? new Malformed($"what it emits nests more than {PayloadJson.MostLevels} levels deep, which is the most a payload may")
                : root.ValueKind == JsonValueKind.Undefined ? new Output() : Of(root);
        }

        return Of(root);
    }

    private static bool TryParse(ReadOnlySpan<byte> line, int depth, out JsonElement root)
    {
        try
        {
            var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = depth });
            root = JsonElement.ParseValue(ref reader);
            if (!line[(int)reader.BytesConsumed..].ContainsAnyExcept(" \t\r"u8))
            {
                return true;
            }
        }
        catch (JsonException)
        {
        }

        root = default;
        return false;
    }

    private static ChildLine Of(JsonElement root)
    {

        if (!root.TryGetProperty("type"u8, out var type) || type.ValueKind != JsonValueKind.String)
        {
            return new Output();
        }

        try
        {
            return Parse(type.GetString()!, root);
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            return new Malformed($"a message of type {type.GetString()} has a field that is missing or of the wrong type: {e.Message}");
        }
    }

    private static ChildLine Parse(string type, JsonElement root) => type switch
    {
        "emit" => new Emit(
            root.TryGetProperty("n"u8, out var n) && n.ValueKind != JsonValueKind.Null ? n.GetInt64() : null,
            new ChildEmit(Text(root, "port"), root.GetProperty("data"u8), OptionalText(root, "key"), Texts(root, "headers"), Int(root, "index"))),
        "done" => new Done(root.GetProperty("n"u8).GetInt64()),
        "error" => new Error(
            root.GetProperty("n"u8).GetInt64(),
            new ChildError(Int(root, "index"), new ItemException(Text(root, "code"), Text(root, "message"), Flag(root, "retryable") ? ErrorClass.Transient : ErrorClass.Permanent))),
        "ready" => new Ready(ReadyOf(root)),
        "state" => new State(root.GetProperty("id"u8).GetInt64(), root.GetProperty("data"u8)),
        "call" => new Call(root.GetProperty("q"u8), Text(root, "api"), root),
        "log" => new Log(OptionalText(root, "level") ?? "info", Text(root, "message")),
        "metric" => new Metric(Text(root, "name"), root.GetProperty("value"u8).GetDouble(), Texts(root, "labels") ?? new Dictionary<string, string>()),
        "end" => new End(),
        "pong" => new Pong(),
        "bye" => new Bye(),
        _ => new Output(),
    };

    private static ChildReady ReadyOf(JsonElement root)
    {
        if (root.GetProperty("v"u8).GetInt32() is var v && v != HostLines.Version)
        {
            throw new FormatException($"it speaks version {v}, and this program version {HostLines.Version}");
        }

        var most = Int(root, "max_in_flight") ?? 16;
        return most is >= 1 and <= 10_000
            ? new ChildReady(most, Flag(root, "stateful"), Flag(root, "batch"), Flag(root, "replayable"), Flag(root, "stream"))
            : throw new FormatException($"max_in_flight is {most}; 1 to 10,000 can be");
    }

    private static string Text(JsonElement root, string name) =>
        root.GetProperty(name) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : throw new FormatException($"{name} is not a string");

    private static string? OptionalText(JsonElement root, string name) =>
        root.TryGetProperty(name, out var text) && text.ValueKind != JsonValueKind.Null ? Text(root, name) : null;

    private static int? Int(JsonElement root, string name) =>
        root.TryGetProperty(name, out var number) && number.ValueKind != JsonValueKind.Null ? number.GetInt32() : null;

    private static bool Flag(JsonElement root, string name) => root.TryGetProperty(name, out var flag) && flag.GetBoolean();

    private static Dictionary<string, string>? Texts(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var map) || map.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
        {
            texts[entry.Name] = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : throw new FormatException($"{name}.{entry.Name} is not a string");
        }

        return texts;
    }
}
