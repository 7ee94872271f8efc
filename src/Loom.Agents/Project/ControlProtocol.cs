using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Loom.Agents.Orchestration;

namespace Loom.Agents.Project;

/// <summary>One line from a client: what is asked of the running project. A field the runtime does not know is ignored, an operation it does not know is refused.</summary>
/// <param name="Op">One of <see cref="ControlOps"/>.</param>
public sealed record ControlRequest(string Op)
{
    /// <summary>The agents, replicas, dataflow systems or processes meant; null = all agents, and for <c>start</c> all systems that start by themselves and have failed.</summary>
    public ImmutableArray<string>? Names { get; init; }

    /// <summary><c>start</c>, <c>stop</c>, <c>restart</c>: only the named ones, not what they depend on or what depends on them.</summary>
    public bool NoDeps { get; init; }

    /// <summary><c>start</c>, <c>restart</c>: answer only when they are ready or cannot be.</summary>
    public bool Wait { get; init; }

    /// <summary><c>wait</c>: <c>ready</c> or <c>ended</c>; null = ready.</summary>
    public string? For { get; init; }

    /// <summary>Longest wait, milliseconds; null = for ever. The caller may also just leave.</summary>
    public long? TimeoutMs { get; init; }

    /// <summary><c>follow</c>: earlier lines wanted of each process, at most 1,000.</summary>
    public int Lines { get; init; }

    /// <summary><c>down</c>: no grace, KILL at once.</summary>
    public bool Force { get; init; }
}

/// <summary>What a running project can be asked.</summary>
public static class ControlOps
{
    public const string Status = "status";
    public const string Down = "down";
    public const string Start = "start";
    public const string Stop = "stop";
    public const string Restart = "restart";
    public const string Wait = "wait";

    /// <summary>What <c>apply</c> would do.</summary>
    public const string Drift = "drift";

    /// <summary>Read <c>loom.toml</c> anew and put it in force.</summary>
    public const string Apply = "apply";

    public const string Follow = "follow";

    /// <summary>All of them.</summary>
    public static ImmutableArray<string> All { get; } = [Status, Down, Start, Stop, Restart, Wait, Drift, Apply, Follow];
}

/// <summary>Why a request was refused.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ControlRefusal>))]
public enum ControlRefusal
{
    /// <summary>Not JSON, or not a request.</summary>
    [JsonStringEnumMemberName("bad_request")]
    BadRequest,

    /// <summary>An operation of a newer or an older loom.</summary>
    [JsonStringEnumMemberName("unknown_request")]
    UnknownRequest,

    /// <summary>A name that nobody has.</summary>
    [JsonStringEnumMemberName("unknown_name")]
    UnknownName,

    /// <summary><c>loom.toml</c> or <c>agents/</c> cannot be put in force; nothing was changed.</summary>
    [JsonStringEnumMemberName("bad_configuration")]
    BadConfiguration,

    /// <summary>Something outlived KILL.</summary>
    [JsonStringEnumMemberName("survivors")]
    Survivors,

    /// <summary>Not at this moment: the project is just starting, stopping, or its orchestration has failed.</summary>
    [JsonStringEnumMemberName("not_now")]
    NotNow,
}

/// <summary>How a wait ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<WaitOutcome>))]
public enum WaitOutcome
{
    /// <summary>They all are what was waited for.</summary>
    [JsonStringEnumMemberName("met")]
    Met,

    /// <summary>One of them cannot become it any more.</summary>
    [JsonStringEnumMemberName("failed")]
    Failed,

    /// <summary>Time was over.</summary>
    [JsonStringEnumMemberName("timeout")]
    Timeout,
}

/// <summary>One line to a client. A request has one reply, <c>follow</c> one for each line.</summary>
public sealed record ControlReply
{
    public bool Ok { get; set; } = true;

    /// <summary>What went wrong, for a person.</summary>
    public string? Error { get; init; }

    /// <summary>What kind of refusal it is; null when <see cref="Ok"/>.</summary>
    public ControlRefusal? Refusal { get; init; }

    /// <summary>The name most likely meant instead of an unknown one.</summary>
    public string? Nearest { get; init; }

    public RunState? State { get; init; }

    /// <summary>How the wait ended that was asked for.</summary>
    public WaitOutcome? Outcome { get; init; }

    /// <summary><c>apply</c> and <c>drift</c>: what becomes of each agent, by name.</summary>
    public ImmutableArray<ControlChange>? Changes { get; init; }

    public ControlLine? Line { get; init; }
}

/// <summary>What becomes of one agent or dataflow system: <c>unchanged</c>, <c>added</c>, <c>removed</c>, <c>changed</c> or <c>rewired</c>.</summary>
public sealed record ControlChange(string Agent, string Change)
{
    internal static ImmutableArray<ControlChange> From(IEnumerable<AgentChange> changes) =>
        [.. changes.Select(c => new ControlChange(c.Agent, c.Kind.ToString().ToLowerInvariant()))];
}

/// <summary>One captured line of a process.</summary>
public sealed record ControlLine(string Name, bool Err, DateTimeOffset? At, string Text);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlReply))]
internal sealed partial class ControlJson : JsonSerializerContext;
