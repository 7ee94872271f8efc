using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Storage;

namespace Loom.Cli.Composition;

/// <summary>Where the running project's API is, and the token that opens it.</summary>
internal sealed record RunningApi(Uri Address, string? Token)
{
    /// <summary>
    /// Finds it by the state of a runtime that is alive, in a run folder of this user alone: a token must not go to an address that somebody else wrote down.
    /// The run's own token goes before one in the environment, which may belong to another Loom.
    /// </summary>
    /// <exception cref="CliError">Nothing runs in the project, its state cannot be read, or its run folder is not this user's.</exception>
    public static async Task<RunningApi> FindAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        if (!directory.Exists)
        {
            throw NotRunning(directory);
        }

        CheckOwner(directory);
        try
        {
            _ = RunState.Read(directory.State);
        }
        catch (InvalidDataException e)
        {
            throw new CliError(ExitCode.Conflict, "BAD_STATE", e.Message, "loom down");
        }

        var state = await ProjectRun.FindLiveAsync(directory.Project, context.Time, TimeSpan.Zero, cancellationToken).ConfigureAwait(false) ?? throw NotRunning(directory);
        var address = state.Addresses.GetValueOrDefault("api")
            ?? throw new CliError(ExitCode.NotRunning, "NOT_READY", $"the API of {directory.Project} is not open yet", "loom status");
        return Uri.TryCreate(address, UriKind.Absolute, out var uri)
            ? new RunningApi(uri, directory.ReadToken() ?? context.Environment.GetValueOrDefault("LLORCH_API_TOKEN"))
            : throw new CliError(ExitCode.Conflict, "BAD_STATE", $"'{directory.State}' names no usable address of the API", "loom down");
    }

    /// <summary>Refuses a run folder that is a link or another user's.</summary>
    /// <exception cref="CliError">It is one.</exception>
    public static void CheckOwner(RunDirectory directory)
    {
        try
        {
            PrivateFolder.Check(Path.GetDirectoryName(directory.Path)!);
            PrivateFolder.Check(directory.Path);
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Failed, "RUN_DIRECTORY", e.Message);
        }
    }

    private static CliError NotRunning(RunDirectory directory) =>
        new(ExitCode.NotRunning, "NOT_RUNNING", $"nothing is running in {directory.Project}", "loom up");
}
