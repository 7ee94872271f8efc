using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Orchestration;
using Loom.Core.Storage;
using Loom.Processes;
using Loom.Processes.Supervision;
using Loom.Wire;

namespace Loom.Agents.Project;

/// <summary>What <c>state.json</c> says of a running project. No environment values, ever.</summary>
public sealed record RunState
{
    public int Schema { get; set; } = 1;

    public required string RunId { get; init; }

    /// <summary>Generation of the configuration; each <c>up --apply</c> raises it.</summary>
    public int Generation { get; set; } = 1;

    /// <summary>Pids of another boot mean nothing.</summary>
    public required string BootId { get; init; }

    public required string Mode { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required string LoomVersion { get; init; }

    public required ProcessRef Supervisor { get; init; }

    public ProcessRef? Guardian { get; init; }

    /// <summary>Addresses really bound, by part: <c>api</c>, <c>node</c>, <c>bridge</c>, <c>dashboard</c>.</summary>
    public ImmutableSortedDictionary<string, string> Addresses { get; init => field = value ?? ImmutableSortedDictionary<string, string>.Empty; } = ImmutableSortedDictionary<string, string>.Empty;

    public required string Socket { get; init; }

    /// <summary>Whether the start is over: everything that was to come up has, or has failed.</summary>
    public bool Ready { get; init; }

    public string? ConfigSha256 { get; init; }

    /// <summary>The pools' replicas, also those that never got a process.</summary>
    public ImmutableArray<PoolRecord> Pools { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>The dataflow systems the project lists.</summary>
    public ImmutableArray<SystemRecord> Systems { get; init => field = value.IsDefault ? [] : value; } = [];

    public ImmutableArray<ProcessRecord> Processes { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Processes that left their parents' sessions; without an own mark in their environment, only this leads to them.</summary>
    public ImmutableArray<ProcessRef> Strays { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Id of the present boot.</summary>
    public static string CurrentBoot() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>Reads a state file.</summary>
    /// <returns>Null when there is none.</returns>
    /// <exception cref="InvalidDataException">It is damaged or of a newer schema.</exception>
    public static RunState? Read(string path)
    {
        byte[] content;
        try
        {
            content = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        try
        {
            var state = JsonSerializer.Deserialize(content, RunStateJson.Default.RunState);
            return state is { Schema: 1 } ? state : throw new InvalidDataException($"'{path}' has schema {state?.Schema}, this loom knows schema 1");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"'{path}' is not a state file of loom: {e.Message}", e);
        }
    }

    /// <summary>Replaces a state file, mode 0600; a reader sees the old one or the new one.</summary>
    public void Write(string path) => DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(this, RunStateJson.Default.RunState));
}

/// <summary>A process and the proof that it is still the same one.</summary>
public sealed record ProcessRef(int Pid, long StartTicks)
{
    [JsonIgnore]
    public ProcessIdentity Identity => new(Pid, StartTicks);
}

/// <summary>One replica of a pool in the state file.</summary>
/// <param name="Pool">Name of its <c>[serving.pools.*]</c> table.</param>
/// <param name="Replica"><c>r0</c>, <c>r1</c> ...</param>
/// <param name="State">A <see cref="ReplicaState"/> in lower case.</param>
/// <param name="Engine">Engine kind.</param>
/// <param name="Model">Loaded or first configured model.</param>
/// <param name="Mock">Its answers come from a mock engine.</param>
/// <param name="LastError">Why it is not ready; null when it is.</param>
public sealed record PoolRecord(string Pool, string Replica, string State, string Engine, string Model, bool Mock, string? LastError)
{
    /// <summary>Whether nothing needs an operator: it serves, or was stopped on request.</summary>
    [JsonIgnore]
    public bool IsWell => State is "ready" || (State is "stopped" && LastError is null);

    public static PoolRecord From(ReplicaStatus r) =>
        new(r.Id.PoolId, r.Id.ReplicaName, r.State.ToString().ToLowerInvariant(), r.EngineKind, r.Model, r.Mock, r.LastError);
}

/// <summary>One dataflow system in the state file.</summary>
/// <param name="Name">Its name; that of its folder until its files have been read.</param>
/// <param name="Folder">Where it lies.</param>
/// <param name="State"><c>stopped starting running draining ended failed</c>.</param>
/// <param name="Note">Why it failed, or how well it is; null when there is nothing to say.</param>
public sealed record SystemRecord(string Name, string Folder, string State, string? Note)
{
    /// <summary>Whether nothing needs an operator.</summary>
    [JsonIgnore]
    public bool IsWell => State is not "failed";
}

/// <summary>One supervised process in the state file.</summary>
public sealed record ProcessRecord
{
    public required string Name { get; init; }

    public required string Kind { get; init; }

    public int Replica { get; init; }

    public required string State { get; init; }

    public int? Pid { get; init; }

    public long? StartTicks { get; init; }

    public int? Pgid { get; init; }

    /// <summary>Folder of its cgroup; null without one.</summary>
    public string? Cgroup { get; init; }

    public int Spawn { get; init; }

    public int Restarts { get; init; }

    public long GraceMs { get; init; }

    public string? SpecSha256 { get; init; }

    public required string Log { get; init; }

    public required string Err { get; init; }

    public ExitRecord? LastExit { get; init; }

    public string? Reason { get; init; }

    /// <summary>A remark beside state and reason; null = none.</summary>
    public string? Note { get; init; }

    /// <summary>When it is started again; null when it does not wait for that.</summary>
    public DateTimeOffset? NextStart { get; init; }

    public DateTimeOffset Since { get; init; }

    /// <summary>Processor time of its whole group, milliseconds; only in the answer to <c>status</c>, never in the file.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? CpuMs { get; init; }

    /// <summary>Resident memory of its whole group, bytes; only in the answer to <c>status</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? MemoryBytes { get; init; }

    public static ProcessRecord From(ProcessSnapshot s) => new()
    {
        Name = s.Name,
        Kind = s.Kind.ToString().ToLowerInvariant(),
        State = s.State.ToString().ToLowerInvariant(),
        Pid = s.Pid,
        StartTicks = s.StartTicks,
        Pgid = s.Pid,
        Cgroup = s.Cgroup,
        Spawn = s.Spawns,
        Restarts = s.Restarts,
        GraceMs = (long)s.Grace.TotalMilliseconds,
        SpecSha256 = s.PlanSha256,
        Log = s.LogPath,
        Err = s.ErrorLogPath ?? s.LogPath,
        LastExit = s.LastExit is { } exit ? new ExitRecord(exit.Code, exit.Signal, exit.At) : null,
        Reason = s.Reason,
        Note = s.Note,
        NextStart = s.NextStart,
        Since = s.Since,
    };

    // What the supervisor gives an agent whose plan names none.
    private static readonly TimeSpan s_agentGrace = TimeSpan.FromSeconds(1);

    /// <summary>An agent that never got a process.</summary>
    internal static ProcessRecord From(AgentStatus agent, DateTimeOffset since) => new()
    {
        Name = agent.Name,
        Kind = agent.Plan.Kind.ToString().ToLowerInvariant(),
        Replica = agent.Plan.Replica,
        State = agent.State.ToString().ToLowerInvariant(),
        GraceMs = (long)(agent.Plan.Grace ?? s_agentGrace).TotalMilliseconds,
        SpecSha256 = PlanHash.Of(agent.Plan),
        Log = agent.Plan.LogPath,
        Err = agent.Plan.ErrorLogPath ?? agent.Plan.LogPath,
        Reason = agent.Reason,
        Since = since,
    };

    /// <summary>The same with what it uses now.</summary>
    public ProcessRecord With(ProcessUsage? usage) =>
        usage is { } used ? this with { CpuMs = (long)used.CpuTime.TotalMilliseconds, MemoryBytes = used.ResidentBytes } : this;
}

/// <summary>How a process ended: by code or by signal.</summary>
public sealed record ExitRecord(int? Code, int? Signal, DateTimeOffset At);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(RunState))]
internal sealed partial class RunStateJson : JsonSerializerContext;
