using System.Text.Json;
using Loom.Processes;

namespace Loom.Cli.Status;

/// <summary>
/// What a running project says of itself, as far as commands show it. Read by hand from its answer: building the serializer's tables would cost a short
/// command more than all the rest of its life.
/// </summary>
internal sealed record RunView
{
    public required string RunId { get; init; }

    public int Generation { get; init; } = 1;

    public string Mode { get; init; } = "full";

    public DateTimeOffset StartedAt { get; init; }

    public string LoomVersion { get; init; } = "";

    public string? ConfigSha256 { get; init; }

    public ProcessIdentity Supervisor { get; init; }

    public ProcessIdentity? Guardian { get; init; }

    /// <summary>Whether the start is over.</summary>
    public bool Ready { get; init; }

    /// <summary>Addresses by part, sorted.</summary>
    public IReadOnlyList<(string Part, string Address)> Addresses { get; init; } = [];

    public IReadOnlyList<PoolView> Pools { get; init; } = [];

    /// <summary>Dataflow systems, in the order of loom.toml.</summary>
    public IReadOnlyList<SystemView> Systems { get; init; } = [];

    public IReadOnlyList<ProcessView> Processes { get; init; } = [];

    /// <summary>Reads the <c>state</c> of an answer.</summary>
    /// <exception cref="InvalidDataException">It is not one of this schema.</exception>
    public static RunView Parse(JsonElement state)
    {
        if (state.ValueKind != JsonValueKind.Object || state.Int("schema") is not 1)
        {
            throw new InvalidDataException("the runtime is of another version of loom: its answer is not of schema 1");
        }

        return new RunView
        {
            RunId = state.Text("run_id") ?? "",
            Generation = state.Int("generation") ?? 1,
            Mode = state.Text("mode") ?? "full",
            StartedAt = state.Time("started_at") ?? default,
            LoomVersion = state.Text("loom_version") ?? "",
            ConfigSha256 = state.Text("config_sha256"),
            Supervisor = Identity(state, "supervisor") ?? default,
            Guardian = Identity(state, "guardian"),
            Ready = state.Flag("ready"),
            Addresses = AddressesOf(state),
            Pools = state.Each("pools", PoolView.Parse),
            Systems = state.Each("systems", SystemView.Parse),
            Processes = Sorted(state.Each("processes", ProcessView.Parse)),
        };
    }

    // Agents that may start together come in the order of chance; whoever reads the table twice looks for them where they were.
    private static List<ProcessView> Sorted(List<ProcessView> processes)
    {
        processes.Sort(static (a, b) => string.CompareOrdinal(a.Kind, b.Kind) is not 0 and var kind ? kind
            : a.Name.Length != b.Name.Length && ReplicaName.SameAgent(a.Name, b.Name) ? a.Name.Length - b.Name.Length
            : string.CompareOrdinal(a.Name, b.Name));
        return processes;
    }

    private static ProcessIdentity? Identity(JsonElement state, string name) =>
        state.Find(name) is { } found ? new ProcessIdentity(found.Int("pid") ?? 0, found.Long("start_ticks") ?? 0) : null;

    private static List<(string Part, string Address)> AddressesOf(JsonElement state)
    {
        var addresses = new List<(string Part, string Address)>();
        if (state.Find("addresses") is { } found)
        {
            foreach (var address in found.EnumerateObject())
            {
                addresses.Add((address.Name, address.Value.GetString() ?? ""));
            }
        }

        return addresses;
    }
}

/// <summary>One replica of a pool.</summary>
internal sealed record PoolView(string Pool, string Replica, string State, string Engine, string Model, bool Mock, string? LastError)
{
    public string Name => $"{Pool}/{Replica}";

    /// <summary>Whether nothing needs an operator: it serves, or was stopped on request.</summary>
    public bool IsWell => State is "ready" || (State is "stopped" && LastError is null);

    internal static PoolView Parse(JsonElement pool) => new(
        pool.Text("pool") ?? "", pool.Text("replica") ?? "", pool.Text("state") ?? "", pool.Text("engine") ?? "", pool.Text("model") ?? "", pool.Flag("mock"), pool.Text("last_error"));
}

/// <summary>One dataflow system.</summary>
internal sealed record SystemView(string Name, string Folder, string State, string? Note)
{
    /// <summary>Whether nothing needs an operator.</summary>
    public bool IsWell => State is not "failed";

    internal static SystemView Parse(JsonElement system) => new(system.Text("name") ?? "", system.Text("folder") ?? "", system.Text("state") ?? "", system.Text("note"));
}

/// <summary>One supervised process.</summary>
internal sealed record ProcessView
{
    public required string Name { get; init; }

    public required string Kind { get; init; }

    public int Replica { get; init; }

    public required string State { get; init; }

    public DateTimeOffset? Since { get; init; }

    public int? Pid { get; init; }

    public long? StartTicks { get; init; }

    public int Spawn { get; init; }

    public int Restarts { get; init; }

    public long GraceMs { get; init; }

    public DateTimeOffset? NextStart { get; init; }

    public ExitView? LastExit { get; init; }

    public string? Reason { get; init; }

    /// <summary>Something to know beside state and reason, for example a failed reload.</summary>
    public string? Note { get; init; }

    public string? Log { get; init; }

    public string? Err { get; init; }

    /// <summary>Processor time of its whole group since the process was spawned; null when it does not run or the runtime cannot tell.</summary>
    public long? CpuMs { get; init; }

    /// <summary>Resident memory of its whole group, bytes.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>Whether it is as it should be: up, done, or stopped on request.</summary>
    public bool IsWell => State is "ready" or "completed" or "stopped";

    /// <summary>Whether it will not come up by itself any more.</summary>
    public bool HasFailed => State is "failed" or "skipped" or "blocked";

    /// <summary>Whether <paramref name="name"/> means it: by its own name, or by that of the agent it is a replica of.</summary>
    public bool Answers(string name) => Kind is "agent" ? ReplicaName.Answers(Name, name) : string.Equals(Name, name, StringComparison.Ordinal);

    internal static ProcessView Parse(JsonElement process) => new()
    {
        Name = process.Text("name") ?? "",
        Kind = process.Text("kind") ?? "",
        Replica = process.Int("replica") ?? 0,
        State = process.Text("state") ?? "",
        Since = process.Time("since"),
        Pid = process.Int("pid"),
        StartTicks = process.Long("start_ticks"),
        Spawn = process.Int("spawn") ?? 0,
        Restarts = process.Int("restarts") ?? 0,
        GraceMs = process.Long("grace_ms") ?? 0,
        NextStart = process.Time("next_start"),
        LastExit = process.Find("last_exit") is { } exit ? new ExitView(exit.Int("code"), exit.Int("signal"), exit.Time("at")) : null,
        Reason = process.Text("reason"),
        Note = process.Text("note"),
        Log = process.Text("log"),
        Err = process.Text("err"),
        CpuMs = process.Long("cpu_ms"),
        MemoryBytes = process.Long("memory_bytes"),
    };
}

/// <summary>How a process ended: by code or by signal.</summary>
internal sealed record ExitView(int? Code, int? Signal, DateTimeOffset? At)
{
    public override string ToString() => Signal is { } signal ? $"killed by {SignalWords.Of(signal)}" : $"exited with {Code}";
}
