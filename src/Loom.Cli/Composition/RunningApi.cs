using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli.Composition;

/// <summary>Where the running project's API is, and the token that opens it.</summary>
internal sealed record RunningApi(Uri Address, string? Token)
{
    /// <summary>Finds it by run state; a token in the environment goes before the run's own.</summary>
    /// <exception cref="CliError">Nothing runs in the project.</exception>
    public static RunningApi Find(VerbContext context)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        var address = RunState.Read(directory.State)?.Addresses.GetValueOrDefault("api")
            ?? throw new CliError(ExitCode.NotRunning, "NOT_RUNNING", $"nothing is running in {directory.Project}", "loom up");
        return new RunningApi(new Uri(address), context.Environment.GetValueOrDefault("LLORCH_API_TOKEN") ?? directory.ReadToken());
    }
}
