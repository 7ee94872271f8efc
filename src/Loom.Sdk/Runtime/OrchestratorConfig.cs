using System.Globalization;

namespace Loom.Runtime;

/// <summary>What a project's runtime runs.</summary>
public enum RuntimeMode
{
    /// <summary>Everything: engines, API, agents.</summary>
    Full,

    /// <summary>The agents' side alone: no API, no engines.</summary>
    BridgeOnly,
}

/// <summary>What an <see cref="Orchestrator"/> runs, and how.</summary>
public sealed record OrchestratorConfig
{
    /// <summary>The project's folder. It need not hold a <c>loom.toml</c>: defaults hold without one.</summary>
    public required string ProjectDir { get; init; }

    /// <summary>Folder of captured output; null = <c>runtime.logs_dir</c> (<c>.loom/logs</c>). A relative one starts from the current folder.</summary>
    public string? LogsDir { get; init; }

    /// <summary>What is run. Default <see cref="RuntimeMode.Full"/>.</summary>
    public RuntimeMode RuntimeMode { get; init; } = RuntimeMode.Full;

    /// <summary>Version of Loom: an exact one, or <c>latest</c> (default) = the one that is found.</summary>
    public string RuntimeVersion { get; init; } = BinaryNames.Latest;

    /// <summary>Port of the bridge, on 127.0.0.1; null = as configured (50051).</summary>
    public int? BridgePort { get; init; }

    /// <summary>Port of the dashboard; null = as configured (3030).</summary>
    public int? DashboardPort { get; init; }

    /// <summary>Seconds until a start that still goes on is told to <see cref="Progress"/>. Nothing is started or given up by it: readiness decides. Default 2.</summary>
    public double StartupWaitSec { get; init; } = 2.0;

    /// <summary>Scripts to run as agents instead of those found in <c>agents/</c>. Relative ones start from <see cref="ProjectDir"/>. Default none.</summary>
    public IReadOnlyList<string> AgentScripts { get; init; } = [];

    /// <summary>Local release builds go before debug builds. Default true.</summary>
    public bool PreferRelease { get; init; } = true;

    /// <summary>Fetch every program anew. Default false.</summary>
    public bool ForceDownload { get; init; }

    /// <summary>Told what Loom says to people: progress and warnings, one line each. Null = nobody. Nothing is written to the console.</summary>
    public IProgress<string>? Progress { get; init; }

    /// <summary>Which <c>loom</c> is started, and how.</summary>
    public LoomLaunch Launch { get; init; } = new();

    /// <summary>The command line that runs this.</summary>
    internal IEnumerable<string> Arguments()
    {
        yield return "up";
        yield return "--json";
        yield return "--no-input";
        yield return "--stop-with-stdin";
        yield return "-C";
        yield return Path.GetFullPath(ProjectDir);
        if (RuntimeMode == RuntimeMode.BridgeOnly)
        {
            yield return "--mode";
            yield return "bridge-only";
        }

        if (RuntimeVersion is not BinaryNames.Latest)
        {
            yield return "--version";
            yield return RuntimeVersion;
        }

        if (LogsDir is { } logs)
        {
            yield return "--set";
            yield return "runtime.logs_dir=" + Path.GetFullPath(logs);
        }

        foreach (var setting in Ports())
        {
            yield return "--set";
            yield return setting;
        }

        foreach (var script in AgentScripts)
        {
            yield return "--script";
            yield return Path.GetFullPath(script, Path.GetFullPath(ProjectDir));
        }

        if (!PreferRelease)
        {
            yield return "--use-debug";
        }

        if (ForceDownload)
        {
            yield return "--force-download";
        }
    }

    private IEnumerable<string> Ports()
    {
        if (BridgePort is { } bridge)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"bridge.address=127.0.0.1:{bridge}");
        }

        if (DashboardPort is { } dashboard)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"dashboard.port={dashboard}");
        }
    }
}
