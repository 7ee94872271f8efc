using System.Collections.Immutable;

namespace Loom.Processes;

/// <summary>What a child is; decides its default grace and where it stands in the stop order.</summary>
public enum ProcessKind
{
    Agent,
    Engine,
    Mcp,
    Job,
    Runtime,
}

/// <summary>What to run and how to keep it alive: everything the supervisor needs, as an immutable record.</summary>
public sealed record ProcessPlan
{
    /// <summary>Unique in the supervisor, for example <c>engine-chat-r0</c>; also the stem of its log file.</summary>
    public required string Name { get; init; }

    public required ProcessKind Kind { get; init; }

    /// <summary>Argument vector; the first item is a path, or a bare name looked up in the child's PATH. No shell.</summary>
    public required ImmutableArray<string> Command { get; init; }

    /// <summary>Absolute working folder.</summary>
    public required string WorkingDirectory { get; init; }

    /// <summary>The child's whole environment; the supervisor adds only <c>LOOM_RUN_ID</c> and <c>LOOM_PROC_ID</c>.</summary>
    public required ImmutableDictionary<string, string> Environment { get; init; }

    /// <summary>Decides what follows an unexpected end.</summary>
    public RestartPolicy Restart { get; init; } = RestartPolicy.OnFailure;

    /// <summary>When the child counts as ready; null = alive for one second.</summary>
    public ProbePlan? Ready { get; init; }

    /// <summary>How a running child is watched; null = not at all.</summary>
    public ProbePlan? Live { get; init; }

    /// <summary>Exit codes that count as success.</summary>
    public ImmutableArray<int> SuccessCodes { get; init; } = [0];

    /// <summary>Exit codes after which the child is never started again.</summary>
    public ImmutableArray<int> FatalCodes { get; init; } = [125];

    /// <summary>Time between the stop signal and KILL; null = the kind's default.</summary>
    public TimeSpan? Grace { get; init; }

    /// <summary>First signal of a stop, default TERM (15).</summary>
    public int StopSignal { get; init; } = 15;

    /// <summary>Command run before the stop signal, inside the grace; empty = none.</summary>
    public ImmutableArray<string> StopCommand { get; init; } = [];

    /// <summary>What it may use; null = no limit of ours.</summary>
    public ProcessLimits? Limits { get; init; }

    /// <summary>Where its streams lead.</summary>
    public ProcessConsole Console { get; init; }

    /// <summary>
    /// Called with stdin and stdout of each incarnation right after it was spawned, on the supervisor's loop: be short. What it is given is the callee's to dispose.
    /// Null (the default): stdin is empty and stdout is captured like stderr.
    /// </summary>
    public Action<Piping.ProcessPipes>? Pipes { get; init; }

    /// <summary>Which copy of its agent it is, from 0.</summary>
    public int Replica { get; init; }

    /// <summary>Path of the log; stdout and stderr both go there unless <see cref="ErrorLogPath"/> is set.</summary>
    public required string LogPath { get; init; }

    /// <summary>Path of the stderr log; null = <see cref="LogPath"/>.</summary>
    public string? ErrorLogPath { get; init; }

    public LogOptions Log { get; init; } = new();
}

/// <summary>Where the streams of a process lead.</summary>
public enum ProcessConsole
{
    /// <summary>stdin is empty; stdout and stderr are captured. The process leads a session of its own.</summary>
    Captured,

    /// <summary>Our terminal: the process leads a group of its own in our session, which it is handed while it runs. For <c>loom run SCRIPT</c>.</summary>
    Terminal,
}

/// <summary>What a process and everything below it may use. Null = inherited.</summary>
/// <param name="MemoryBytes">Resident memory; more ends it, as a crash that says so.</param>
/// <param name="Pids">Processes and threads; needs a writable cgroup.</param>
/// <param name="Cpu">Cores; needs a writable cgroup.</param>
/// <param name="OpenFiles">Descriptors of each process.</param>
/// <param name="Nice">From -20 to 19.</param>
public sealed record ProcessLimits(long? MemoryBytes = null, int? Pids = null, double? Cpu = null, int? OpenFiles = null, int? Nice = null);

/// <summary>Form of captured lines in the log file.</summary>
public enum LineFormat
{
    Text,

    /// <summary>One JSON object a line: <c>{"ts","name","stream","text"}</c>.</summary>
    Json,
}

/// <summary>How a captured log grows.</summary>
public sealed record LogOptions
{
    /// <summary>Form of the lines. Default text.</summary>
    public LineFormat Format { get; init; }

    /// <summary>Take colour codes out of the file; a terminal still gets them. Default true.</summary>
    public bool StripAnsi { get; init; } = true;

    /// <summary>Size at which the file is rotated, bytes. Default 10 MB.</summary>
    public long MaxBytes { get; init; } = 10_000_000;

    /// <summary>Old files kept. Default 5.</summary>
    public int Keep { get; init; } = 5;

    /// <summary>RFC 3339 milliseconds before each line. Default true.</summary>
    public bool Timestamps { get; init; } = true;

    /// <summary>Values masked as <c>[redacted:NAME]</c>, by name.</summary>
    public ImmutableDictionary<string, string> Secrets { get; init; } = ImmutableDictionary<string, string>.Empty;
}

/// <summary>A check that is run at intervals; one at a time, never overlapping.</summary>
public sealed record ProbePlan
{
    public required ProbeCheck Check { get; init; }

    /// <summary>Pause between probes. Default 1 s.</summary>
    public TimeSpan Every { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Readiness: pause between the first probes, which grows to <see cref="Every"/> with a twentieth of the time since the start, so that a quick start is
    /// seen at once and a slow one costs few probes. Null = always <see cref="Every"/>.
    /// </summary>
    public TimeSpan? AtFirst { get; init; }

    /// <summary>Longest single probe. Default 5 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Readiness: time allowed to become ready. Default 60 s.</summary>
    public TimeSpan Within { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Liveness: failures in a row that count as a crash. Default 3.</summary>
    public int Failures { get; init; } = 3;
}

/// <summary>What a probe looks at: a closed set.</summary>
public abstract record ProbeCheck
{
    private ProbeCheck()
    {
    }

    /// <summary>An answer with a status from <paramref name="MinStatus"/> to <paramref name="MaxStatus"/>; redirects are not followed.</summary>
    public sealed record Http(Uri Url, int MinStatus = 200, int MaxStatus = 399) : ProbeCheck;

    /// <summary>An accepted TCP connection.</summary>
    public sealed record Tcp(string Host, int Port) : ProbeCheck;

    /// <summary>A command that ends with 0.</summary>
    public sealed record Exec(ImmutableArray<string> Command) : ProbeCheck;

    /// <summary>A whole output line of this incarnation that matches.</summary>
    public sealed record Log(string Pattern) : ProbeCheck;
}
