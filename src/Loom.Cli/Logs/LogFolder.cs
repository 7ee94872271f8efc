using System.CommandLine;
using Loom.Agents.Project;
using Loom.Agents.Settings;
using Loom.Cli.Config;
using Loom.Cli.Verbs;
using Loom.Core.Settings;

namespace Loom.Cli.Logs;

/// <summary>Where the captured output of a project lies.</summary>
internal static class LogFolder
{
    /// <summary>
    /// The folder the project's last run wrote to if its state is still there, since a run may have been given another one than the next would get; else
    /// <c>runtime.logs_dir</c>, also of a configuration with faults.
    /// </summary>
    public static string Of(VerbContext context, ParseResult parse)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        return Used(directory) ?? RuntimeOptions.From(ProcessConfiguration.Load(context, parse, LoomPart.Up).Snapshot).LogsDir;
    }

    private static string? Used(RunDirectory directory)
    {
        try
        {
            return RunState.Read(directory.State)?.Processes is [var first, ..] && Path.GetDirectoryName(first.Log) is { } folder && Directory.Exists(folder) ? folder : null;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
