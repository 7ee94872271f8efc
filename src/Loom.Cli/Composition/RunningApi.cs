using System.CommandLine;
using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Core.Storage;

namespace Loom.Cli.Composition;

/// <summary>Where the running project's API is, and the token that opens it.</summary>
internal sealed record RunningApi(Uri Address, string? Token)
{
    /// <summary>Names a control plane that runs alone, here or elsewhere. Taken by a verb and all below it.</summary>
    public static Option<string?> Url { get; } = new("--url")
    {
        Description = "A control plane that runs alone; its token comes from LLORCH_API_TOKEN (default: that of the project that runs here)",
        HelpName = "URL",
        Recursive = true,
    };

    /// <summary>The control plane at <paramref name="url"/>, opened by the token of the environment; null = the running project's.</summary>
    /// <exception cref="CliError">The URL is none, or the project's cannot be found.</exception>
    public static async Task<RunningApi> FindAsync(VerbContext context, string? url, CancellationToken cancellationToken)
    {
        if (url is null)
        {
            return await FindAsync(context, cancellationToken).ConfigureAwait(false);
        }

        return Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? new RunningApi(new Uri(address.GetLeftPart(UriPartial.Authority)), context.Environment.GetValueOrDefault("LLORCH_API_TOKEN"))
            : throw new CliError(ExitCode.Usage, "USAGE", $"--url wants an http or https URL, found '{Redaction.Plain(url)}'", "--url http://127.0.0.1:8080");
    }

    /// <summary>
    /// Finds it by the state of a runtime that is alive, in a run folder of this user alone: a token must not go to an address that somebody else wrote down.
    /// The run's own token goes before one in the environment, which may belong to another Loom.
    /// </summary>
    /// <exception cref="CliError">Nothing runs in the project, its state cannot be read, or its run folder is not this user's.</exception>
    public static async Task<RunningApi> FindAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
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

    /// <summary>Refuses a run folder that is a link or another user's; none at all is fine.</summary>
    /// <exception cref="CliError">It is one.</exception>
    public static void CheckOwner(RunDirectory directory)
    {
        if (!directory.Exists)
        {
            return;
        }

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
