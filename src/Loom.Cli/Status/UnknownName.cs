using Loom.Cli.Terminal;
using Loom.Core.Settings;

namespace Loom.Cli.Status;

/// <summary>A name on the command line that means nothing in the running project.</summary>
internal static class UnknownName
{
    /// <summary>The error, with the nearest name or all of them.</summary>
    public static CliError Error(string name, RunView run)
    {
        string[] known = [.. run.Processes.Select(p => p.Name), .. run.Pools.Select(p => p.Name), .. run.Systems.Select(s => s.Name)];
        var near = Nearest.Of(name, known);
        var fix = near is not null ? $"did you mean {near}?" : known.Length > 0 ? $"one of: {string.Join(", ", known)}" : "loom status shows what there is";
        return new CliError(ExitCode.NotRunning, "UNKNOWN_NAME", $"nothing here is called '{name}'", fix);
    }
}
