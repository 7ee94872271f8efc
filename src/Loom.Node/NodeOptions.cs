using System.Collections.Immutable;
using Loom.Core.Paths;
using Loom.Core.Settings;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Settings;

namespace Loom.Node;

/// <summary>Everything a node reads from the settings, judged and made absolute.</summary>
public sealed record NodeOptions
{
    /// <summary>Name of this node; in HOME the host name.</summary>
    public required string NodeId { get; init; }

    /// <summary>Absolute; engines are started here.</summary>
    public required string WorkingDirectory { get; init; }

    /// <summary>Absolute; captured logs of engines (<c>.loom/logs</c>).</summary>
    public required string LogsDir { get; init; }

    /// <summary>Absolute; fetched engines.</summary>
    public required string CacheDir { get; init; }

    /// <summary>Absolute; fetched models.</summary>
    public required string ModelsDir { get; init; }

    public required DataFolders Folders { get; init; }

    /// <summary>What engines inherit: the environment of this process.</summary>
    public required ImmutableDictionary<string, string> Environment { get; init; }

    /// <summary>Secrets by name, masked in everything engines and helpers write; see <see cref="SecretValues"/>.</summary>
    public ImmutableDictionary<string, string> Secrets { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Path of the running <c>loom</c>; kind <c>mock</c> runs it.</summary>
    public required string LoomProgram { get; init; }

    /// <summary>Folder of the embedded adapter's sources (<c>engines/embedded</c>); null = not shipped beside this program.</summary>
    public string? EmbeddedSources { get; init; }

    /// <summary>First and last port for engines.</summary>
    public (int First, int Last) EnginePorts { get; init; } = (28080, 28179);

    /// <summary>Never touch the network.</summary>
    public bool Offline { get; init; }

    /// <summary>Fetch files without a known checksum, and mark them so.</summary>
    public bool AllowUnverified { get; init; }

    /// <summary>Fetch engines anew where an address is known, whatever lies in build folders and cache.</summary>
    public bool ForceDownload { get; init; }

    /// <summary>Local debug builds of engines go before release builds.</summary>
    public bool PreferDebug { get; init; }

    /// <summary>Turns every pool into kind <c>mock</c>.</summary>
    public bool MockMode { get; init; }

    /// <summary>Where prepared engines are handed over.</summary>
    public HandoffOptions Handoff { get; init; } = new();

    /// <summary>How GPUs are found.</summary>
    public GpuOptions Gpus { get; init; } = new();

    /// <summary>Time an engine has between TERM and KILL. Default 5 s.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long running requests may finish at a drain or a reload that names no deadline. Default 30 s (<c>serving.drain_deadline_ms</c>).</summary>
    public TimeSpan DrainDeadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How crashed engines come back.</summary>
    public EngineRestartPolicy Restart { get; init; } = new();

    /// <summary>Pools in the order of the file.</summary>
    public ImmutableArray<PoolPlan> Pools { get; init; } = [new PoolPlan { Id = "default", Engine = EnginePlan.Embedded }];

    /// <summary>Catalog entries by id.</summary>
    public ImmutableDictionary<string, ModelPlan> Models { get; init; } = ImmutableDictionary<string, ModelPlan>.Empty;

    /// <summary>Providers by name.</summary>
    public ImmutableDictionary<string, ProviderPlan> Providers { get; init; } = ImmutableDictionary<string, ProviderPlan>.Empty;

    /// <summary>Reads the options out of settings that were judged (<see cref="NodeRules"/> among the rules) and found without error.</summary>
    public static NodeOptions From(SettingsSnapshot settings, NodeSurroundings surroundings) => NodeOptionsReader.Read(settings, surroundings);
}

/// <summary>The folder in which prepared engines are handed to the agent.</summary>
public sealed record HandoffOptions
{
    /// <summary>Absolute folder the agent watches; empty = none is watched.</summary>
    public string Folder { get; init; } = "";

    /// <summary>Absolute folder the provisioner writes to; the loader sees to it that it is the agent's.</summary>
    public string WriteFolder { get; init; } = "";

    /// <summary>Pause between scans. Default 1 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Delete a file once its engine has answered.</summary>
    public bool AutoDelete { get; init; } = true;
}

/// <summary>How GPUs are found, and which one engines use by default.</summary>
public sealed record GpuOptions
{
    /// <summary>Pause between scans. Default 10 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Which source is asked.</summary>
    public GpuSourceChoice Source { get; init; }

    /// <summary>How many GPUs are invented; 0 = nobody asked for any.</summary>
    public int MockCount { get; init; }

    /// <summary>The provisioner's mask.</summary>
    public ImmutableArray<string> Mask { get; init; } = ["0"];

    /// <summary>The mask was written down, so what it names must be there.</summary>
    public bool MaskIsGiven { get; init; }
}
