using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Provisioning;
using Loom.Processes;

namespace Loom.Cli.Doctor;

/// <summary>Programs that engines and agents need.</summary>
internal static class ToolChecks
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(20);

    /// <summary>Looks for them.</summary>
    /// <param name="environment">Environment of children.</param>
    /// <param name="used">Interpreters the project's agents need, each with an agent that does.</param>
    /// <param name="cancellationToken">Ends the looking.</param>
    public static async Task<IReadOnlyList<Check>> RunAsync(ImmutableDictionary<string, string> environment, IReadOnlyDictionary<string, string> used, CancellationToken cancellationToken)
    {
        var supervisor = new Supervisor(new SupervisorOptions { RunId = "doctor-" + Guid.NewGuid().ToString("N"), AdoptStrays = false });
        await using (supervisor.ConfigureAwait(false))
        {
            var node = await VersionAsync(supervisor, "node", environment, cancellationToken).ConfigureAwait(false);
            var npm = ToolPath.Find("npm", environment);
            var (nodes, numactl, _) = MachineProbe.Launch(environment, FixedGpus.None);
            return
            [
                Node(node),
                npm is null
                    ? new Check("engines", "npm", CheckStatus.Fail, "not found in PATH; the embedded engine is installed with it", "install npm (it comes with Node)")
                    : new Check("engines", "npm", CheckStatus.Pass, npm),
                (numactl, nodes) switch
                {
                    (null, > 1) => new Check("engines", "numactl", CheckStatus.Warning, $"not found, and this machine has {nodes} NUMA nodes: large models lose memory bandwidth", "apt-get install numactl"),
                    (null, _) => new Check("engines", "numactl", CheckStatus.Pass, "not needed: one NUMA node"),
                    _ => new Check("engines", "numactl", CheckStatus.Pass, numactl),
                },
                AgentTools.Judge("python3", await VersionAsync(supervisor, "python3", environment, cancellationToken).ConfigureAwait(false), used),
                AgentTools.Judge("node", node, used),
                AgentTools.Judge("dotnet", await VersionAsync(supervisor, "dotnet", environment, cancellationToken).ConfigureAwait(false), used),
                AgentTools.Judge("uv", await VersionAsync(supervisor, "uv", environment, cancellationToken).ConfigureAwait(false), used),
            ];
        }
    }

    internal static Check Node(string? version)
    {
        if (version is null)
        {
            return new Check("engines", "node", CheckStatus.Fail, "not found in PATH; the embedded engine needs Node 20 or newer", "install Node 20, or use a llama-server engine or an [llm.*] provider");
        }

        return int.TryParse(version.TrimStart('v').Split('.')[0], out var major) && major >= 20
            ? new Check("engines", "node", CheckStatus.Pass, version)
            : new Check("engines", "node", CheckStatus.Fail, $"{version} is too old; the embedded engine needs Node 20 or newer", "install Node 20");
    }

    private static async Task<string?> VersionAsync(ISupervisor supervisor, string tool, ImmutableDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        if (ToolPath.Find(tool, environment) is not { } path)
        {
            return null;
        }

        var folder = Directory.CreateTempSubdirectory("loom-doctor-");
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(s_deadline);
            var (_, tail) = await supervisor.RunToEndAsync(
                new ProcessPlan
                {
                    Name = tool,
                    Kind = ProcessKind.Job,
                    Command = [path, "--version"],
                    WorkingDirectory = "/",
                    Environment = environment,
                    Restart = RestartPolicy.Never,
                    LogPath = Path.Combine(folder.FullName, tool + ".log"),
                },
                deadline.Token).ConfigureAwait(false);
            return tail.LastOrDefault()?.Trim();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
