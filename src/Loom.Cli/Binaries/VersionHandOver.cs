using System.Globalization;
using Loom.Agents.Binaries;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Binaries;
using Loom.Processes;
using Loom.Processes.Spawning;
using Loom.Runtime;

namespace Loom.Cli.Binaries;

/// <summary>
/// A project may ask for another <c>loom</c> than the one that was called (<c>runtime.version</c>, <c>--force-download</c>, <c>LOOM_PREFER_DEBUG</c>): that one
/// is resolved and put into this process, with the same arguments. It happens before anything is started or judged: another version may know other settings.
/// </summary>
internal static class VersionHandOver
{
    /// <summary>Holds the pid of a process that was handed over. Children inherit the variable, but not the pid.</summary>
    public const string Variable = "LOOM_HANDED_OVER";

    /// <summary>Returns when this <c>loom</c> is the right one; otherwise the process goes on as the other one, and this call does not return.</summary>
    /// <param name="context">Terminal, environment and clock.</param>
    /// <param name="options">What the project asks for.</param>
    /// <param name="allowUnverified">Accept a download without a known checksum.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="CliError">The other one cannot be had or run.</exception>
    public static async Task RunAsync(VerbContext context, BinaryOptions options, bool allowUnverified, CancellationToken cancellationToken)
    {
        var wanted = BinaryNames.Plain(options.RuntimeVersion);
        var pid = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (context.Environment.GetValueOrDefault(Variable) == pid)
        {
            if (wanted is not BinaryNames.Latest && BinaryNames.IsVersion(wanted) && wanted != Build.Current.Version)
            {
                context.Terminal.Note($"warning: loom {wanted} was asked for; what was found says that it is {Build.Current.Version}");
            }

            return;
        }

        if (wanted is not BinaryNames.Latest && !BinaryNames.IsVersion(wanted))
        {
            return; // the judgement of the settings says so better
        }

        using var work = new BinaryWork(context, options, allowUnverified);
        var found = await work.FindAsync(new BinaryPlan("loom") { Version = wanted }, cancellationToken).ConfigureAwait(false);
        new CachePins(options.Cache).Keep(
            options.Project, CachePins.Runtime, found is { Origin: BinaryOrigin.Cache or BinaryOrigin.Download, Version: { } pinned } ? [("loom", pinned)] : []);
        if (found.Origin == BinaryOrigin.Running)
        {
            return;
        }

        context.Terminal.Note($"loom: going on as {(found.Version is null ? found.Path : $"loom {found.Version}")}");
        try
        {
            var environment = new Dictionary<string, string>(context.Environment, StringComparer.Ordinal) { [Variable] = pid };
            ProgramImage.Replace(found.Path, [.. Environment.GetCommandLineArgs().Skip(1)], environment);
        }
        catch (SpawnException e)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_START", e.Message, "set runtime.version = \"latest\" to use the loom that was called");
        }
    }
}
