using System.Text.Json;

namespace Loom.Components;

/// <summary>
/// What an event of a control stream asks of a component: <c>{"op": "pause"}</c>, <c>{"op": "resume"}</c>, <c>{"op": "set_rate", "rate": 50, "burst": 10}</c> or
/// <c>{"op": "set_config", "config": {"KEY": VALUE}}</c>. With <c>"component"</c> it is meant for that one alone of those bound to the same port.
/// </summary>
public sealed record ControlOperation
{
    /// <summary>Hold at the next event.</summary>
    public const string Pause = "pause";

    /// <summary>Go on.</summary>
    public const string Resume = "resume";

    /// <summary>Let <see cref="Rate"/> events a second pass: into the chain, or out of a source.</summary>
    public const string SetRate = "set_rate";

    /// <summary>Change keys of the config that are marked <see cref="HotAttribute"/>.</summary>
    public const string SetConfig = "set_config";

    /// <summary>One of the four.</summary>
    public required string Op { get; init; }

    /// <summary>The component it is meant for; null = whoever gets it.</summary>
    public string? Component { get; init; }

    /// <summary>Events a second; 0 lifts the limit.</summary>
    public double? Rate { get; init; }

    /// <summary>Events at once after a pause; null = a tenth of a second's worth, at least 1.</summary>
    public int? Burst { get; init; }

    /// <summary>Keys and their new values.</summary>
    public JsonElement? Config { get; init; }

    /// <summary>Reads an operation.</summary>
    /// <exception cref="ItemException">It is none: <c>control_invalid</c>, with what is wrong.</exception>
    public static ControlOperation Read(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("op"u8, out var name) || name.ValueKind != JsonValueKind.String)
        {
            throw Invalid("it is no object with a text \"op\"");
        }

        var operation = new ControlOperation
        {
            Op = name.GetString()!,
            Component = json.TryGetProperty("component"u8, out var component) && component.ValueKind == JsonValueKind.String ? component.GetString() : null,
            Rate = json.TryGetProperty("rate"u8, out var rate) && rate.ValueKind == JsonValueKind.Number ? rate.GetDouble() : null,
            Burst = json.TryGetProperty("burst"u8, out var burst) && burst.ValueKind == JsonValueKind.Number && burst.TryGetInt32(out var many) ? many : null,
            Config = json.TryGetProperty("config"u8, out var config) ? config : null,
        };
        return operation.Fault() is { } fault ? throw Invalid(fault) : operation;
    }

    /// <summary>The operation as the payload of an event.</summary>
    public JsonElement ToJson()
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("op"u8, Op);
            if (Component is not null)
            {
                json.WriteString("component"u8, Component);
            }

            if (Rate is { } rate)
            {
                json.WriteNumber("rate"u8, rate);
            }

            if (Burst is { } burst)
            {
                json.WriteNumber("burst"u8, burst);
            }

            if (Config is { } config)
            {
                json.WritePropertyName("config"u8);
                config.WriteTo(json);
            }

            json.WriteEndObject();
        }

        return JsonElement.Parse(bytes.ToArray());
    }

    /// <summary>What is wrong with it; null when nothing is.</summary>
    public string? Fault() => Op switch
    {
        Pause or Resume => null,
        SetRate when Rate is not { } rate || !double.IsFinite(rate) || rate is < 0 or > 1e9 => "set_rate needs a \"rate\" of 0 (no limit) to 1000000000 events a second",
        SetRate when Burst is < 1 => "\"burst\" is at least 1",
        SetRate => null,
        SetConfig => Config is { ValueKind: JsonValueKind.Object } ? null : "set_config needs a \"config\": an object of keys and values",
        _ => $"there is no operation \"{Op}\"; there are: pause, resume, set_rate, set_config",
    };

    private static ItemException Invalid(string why) => new("control_invalid", $"the control event cannot be carried out: {why}");
}
