using Loom.Node.Provisioning;

namespace Loom.Node.Engines;

/// <summary>One life of an engine process: a new one for every spawn, so that news of an earlier life is told apart and dropped.</summary>
/// <param name="Prepared">What it runs.</param>
/// <param name="Port">Where it listens on 127.0.0.1.</param>
/// <param name="Spawn">Which spawn of the supervisor; 0 = not spawned yet.</param>
public sealed record EngineRun(PreparedEngine Prepared, int Port, int Spawn);

/// <summary>What a running engine says about itself; each part null or empty when it does not say.</summary>
public sealed record EngineFacts
{
    public static EngineFacts None { get; } = new();

    public string? Version { get; init; }

    /// <summary>Name the engine itself gives its model.</summary>
    public string? Model { get; init; }

    /// <summary>Tokens per slot.</summary>
    public int? Ctx { get; init; }

    /// <summary>Creation time of the model, Unix seconds.</summary>
    public long? Created { get; init; }

    public string? Description { get; init; }

    public System.Collections.Immutable.ImmutableArray<string> Capabilities { get; init; } = [];

    /// <summary>The engine marks its answers as mock.</summary>
    public bool Mock { get; init; }
}

/// <summary>Where one replica stands, with what only makes sense there: a closed set.</summary>
public abstract record EngineState
{
    private EngineState()
    {
    }

    /// <summary>Nothing runs: not asked to, asked to stop, or it ended by itself with 0.</summary>
    /// <param name="Reason">For an operator; null = it was asked for.</param>
    /// <param name="Run">Set while the supervisor still knows the process and may be told to start it again.</param>
    public sealed record Stopped(string? Reason, EngineRun? Run = null) : EngineState;

    /// <summary>Engine and model are fetched and checked.</summary>
    /// <param name="Attempt">Which attempt in a row, from 1.</param>
    /// <param name="Percent">Progress of the present step.</param>
    /// <param name="Phase">What is being done, for an operator.</param>
    public sealed record Provisioning(int Attempt, int? Percent, string? Phase) : EngineState;

    /// <summary>The process is being started or does not answer yet.</summary>
    public sealed record Starting(EngineRun Run, int? Percent) : EngineState;

    /// <summary>The health check answers.</summary>
    /// <param name="Run">The run that answers.</param>
    /// <param name="Facts">What it says about itself.</param>
    /// <param name="Probing">Loom's own extra probe is under way, so that further fault reports need none.</param>
    public sealed record Ready(EngineRun Run, EngineFacts Facts, bool Probing = false) : EngineState;

    /// <summary>It ran and does not answer, or waits for its restart.</summary>
    /// <param name="Run">The run that is in trouble.</param>
    /// <param name="Facts">What was known while it was ready; null = it never was.</param>
    /// <param name="Reason">For an operator.</param>
    /// <param name="Probing">Loom's own extra probe found it; the next good one makes it ready again without a word from the supervisor.</param>
    public sealed record Unready(EngineRun Run, EngineFacts? Facts, string Reason, bool Probing) : EngineState;

    /// <summary>Given up, or waiting behind an open breaker or a long pause.</summary>
    /// <param name="Reason">For an operator.</param>
    /// <param name="Run">Set while the supervisor knows the process and may start it again.</param>
    /// <param name="Attempt">Provisioning attempts made in a row; 0 = provisioning is not the trouble.</param>
    /// <param name="Exit">What provisioning failed for; null = provisioning is not the trouble.</param>
    public sealed record Failed(string Reason, EngineRun? Run, int Attempt, ProvisionExit? Exit = null) : EngineState;

    /// <summary>Being stopped on request.</summary>
    public sealed record Stopping(EngineRun? Run) : EngineState;

    /// <summary>The present run; null where there is none.</summary>
    public EngineRun? CurrentRun => this switch
    {
        Starting s => s.Run,
        Ready r => r.Run,
        Unready u => u.Run,
        Failed f => f.Run,
        Stopping s => s.Run,
        Stopped s => s.Run,
        _ => null,
    };
}

/// <summary>What can happen to a replica: a closed set.</summary>
public abstract record EngineEvent
{
    private EngineEvent()
    {
    }

    /// <summary>An operator or the node wants it to run.</summary>
    public sealed record StartWanted : EngineEvent;

    /// <summary>An operator or the node wants it gone.</summary>
    public sealed record StopWanted : EngineEvent;

    /// <summary>The stop is done; nothing of it is left.</summary>
    public sealed record Gone(string? Trouble) : EngineEvent;

    public sealed record Progress(int? Percent, string Phase) : EngineEvent;

    public sealed record Prepared(PreparedEngine Engine) : EngineEvent;

    /// <param name="Reason">For an operator.</param>
    /// <param name="Transient">Trying again later may help: network, full disk, memory taken by others.</param>
    /// <param name="Exit">The kind of trouble, where it is a known one.</param>
    public sealed record PrepareFailed(string Reason, bool Transient, ProvisionExit? Exit = null) : EngineEvent;

    /// <summary>The pause after a failed preparation is over.</summary>
    public sealed record RetryDue : EngineEvent;

    /// <summary>A port was found and the process handed to the supervisor.</summary>
    public sealed record Launching(EngineRun Run) : EngineEvent;

    public sealed record LaunchFailed(string Reason) : EngineEvent;

    /// <summary>News from the supervisor, with the last words of the log where it went wrong.</summary>
    public sealed record ProcessChanged(Loom.Processes.ProcessSnapshot Process, string? LastWords) : EngineEvent;

    /// <summary>The port was taken by another program while the engine was down.</summary>
    public sealed record PortTaken(EngineRun Run) : EngineEvent;

    public sealed record Loading(EngineRun Run, int Percent) : EngineEvent;

    public sealed record FactsLearned(EngineRun Run, EngineFacts Facts) : EngineEvent;

    /// <summary>A request met a transport fault or a 5xx.</summary>
    public sealed record FaultReported(string Reason) : EngineEvent;

    /// <summary>Result of Loom's own extra probe; null = it answered well.</summary>
    public sealed record Probed(EngineRun Run, string? Trouble) : EngineEvent;
}

/// <summary>What the machine wants done: a closed set. Each ends in an event.</summary>
public abstract record EngineEffect
{
    private EngineEffect()
    {
    }

    public sealed record Prepare : EngineEffect;

    public sealed record Retry(TimeSpan After) : EngineEffect;

    public sealed record Launch(PreparedEngine Engine) : EngineEffect;

    /// <summary>Gives the port up and launches on another one.</summary>
    public sealed record MoveToAnotherPort(EngineRun Run) : EngineEffect;

    public sealed record CheckPort(EngineRun Run) : EngineEffect;

    public sealed record WatchLoading(EngineRun Run) : EngineEffect;

    public sealed record AskFacts(EngineRun Run) : EngineEffect;

    public sealed record Probe(EngineRun Run, TimeSpan After) : EngineEffect;

    /// <summary>Ends everything that is under way, then removes the process.</summary>
    public sealed record Remove : EngineEffect;
}
