using System.Collections.Immutable;
using System.CommandLine;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Harness.Components.Classes;
using Loom.Processes;

namespace Loom.Cli.Harness;

/// <summary>What every verb of a system needs: its folder, the settings, and its files loaded.</summary>
internal sealed record HarnessSession(string Directory, HarnessOptions Options, IReadOnlyDictionary<string, string> Environment, string? DeploymentFile)
{
    /// <summary>All settings.</summary>
    public required SettingsSnapshot Settings { get; init; }

    /// <summary>Argument DIR of the verbs.</summary>
    public static Argument<string> DirectoryArgument() => new("DIR") { Description = "Folder of the system (default: this one)", DefaultValueFactory = _ => "." };

    /// <summary>Option --deployment of the verbs.</summary>
    public static Option<string?> DeploymentOption() => new("--deployment") { Description = "Deployment file (default: deployment.yaml where there is one)", HelpName = "FILE" };

    /// <summary>Reads settings and surroundings.</summary>
    /// <exception cref="CliError">The configuration is wrong.</exception>
    public static HarnessSession Open(VerbContext context, ParseResult parse, string directory, string? deployment)
    {
        var folder = Path.GetFullPath(directory, context.WorkingDirectory);
        // A system belongs to the project it lies in, wherever the command is typed; one that lies in none is run by the project around the terminal.
        var own = context.ProjectOption is null && IsInProject(folder) ? context with { WorkingDirectory = folder } : context;
        var loaded = ProcessConfiguration.Load(own, parse, LoomPart.Up);
        if (!loaded.Ok)
        {
            throw ProcessConfiguration.ErrorOf(loaded);
        }

        var file = deployment is null ? null : Path.GetRelativePath(folder, Path.GetFullPath(deployment, context.WorkingDirectory));
        return new HarnessSession(folder, HarnessOptions.From(loaded.Snapshot), loaded.Snapshot.Environment, file) { Settings = loaded.Snapshot };
    }

    private static bool IsInProject(string folder)
    {
        for (var at = new DirectoryInfo(folder); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "loom.toml")))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Loads the system; projects its classes stand in are built first where their sources have changed.</summary>
    public async Task<Loom.Harness.Architecture.LoadResult> LoadAsync(CancellationToken stop)
    {
        if (SystemLoader.Projects(Directory).Count == 0)
        {
            return SystemLoader.Load(Directory, DeploymentFile, Environment, Options);
        }

        var supervisor = new Supervisor(new SupervisorOptions { RunId = "build-" + Guid.NewGuid().ToString("N"), AdoptStrays = false });
        await using (supervisor.ConfigureAwait(false))
        {
            var builder = new ProjectBuilder(supervisor, Environment.ToImmutableDictionary(StringComparer.Ordinal), TimeProvider.System);
            return await SystemLoader.LoadAsync(Directory, DeploymentFile, Environment, Options, builder, stop).ConfigureAwait(false);
        }
    }

    /// <summary>Loads the system; errors are told on stderr and end the verb.</summary>
    /// <exception cref="CliError">There are errors; they have been told, or stand in the error under <c>--json</c>.</exception>
    public async Task<Loom.Harness.Architecture.LoadResult> LoadStrictAsync(Terminal.Terminal terminal, CancellationToken stop)
    {
        var loaded = await LoadAsync(stop).ConfigureAwait(false);
        if (!terminal.Json)
        {
            FindingText.Write(terminal, terminal.Err, loaded.Findings);
        }

        return loaded.HasErrors ? throw FindingText.Error(terminal, loaded.Findings, ExitCode.Usage, "loom harness check shows them all") : loaded;
    }
}
