using Loom.Agents.Project;
using Loom.Core.Settings;
using Loom.Processes.Probes;

namespace Loom.Cli.Doctor;

/// <summary>What stands between this project and a good start.</summary>
internal static class ProjectChecks
{
    /// <summary>Configuration, ports, folders and what an earlier run left.</summary>
    /// <param name="settings">The configuration as far as it could be read.</param>
    /// <param name="errors">Errors in it.</param>
    /// <param name="ports">Listeners by setting.</param>
    public static IEnumerable<Check> Run(SettingsSnapshot settings, int errors, IReadOnlyList<(string Setting, int Port)> ports)
    {
        yield return errors == 0
            ? new Check("project", "configuration", CheckStatus.Pass, settings.ProjectFolder)
            : new Check("project", "configuration", CheckStatus.Fail, $"{errors} error(s)", "loom config check");
        var run = RunDirectory.Of(settings.ProjectFolder);
        var state = Read(run, out var damage);
        var alive = state is not null && Loom.Processes.ProcessIdentities.Of(state.Supervisor.Pid) == state.Supervisor.Identity && state.BootId == RunState.CurrentBoot();
        yield return (state, damage, alive) switch
        {
            (_, { } text, _) => new Check("project", "run state", CheckStatus.Warning, text, "loom down"),
            (null, _, _) => new Check("project", "run state", CheckStatus.Pass, "nothing is running"),
            (_, _, true) => new Check("project", "run state", CheckStatus.Pass, $"running, pid {state.Supervisor.Pid}"),
            _ => new Check("project", "run state", CheckStatus.Warning, $"left behind by a run that died (pid {state.Supervisor.Pid})", "the next loom up cleans it; or loom down"),
        };
        foreach (var (setting, port) in ports.Where(p => p.Port != 0 && !alive))
        {
            var holder = PortHolder.Find(port);
            yield return holder is null
                ? new Check("project", $"port {port}", CheckStatus.Pass, $"free ({setting})")
                : new Check("project", $"port {port}", CheckStatus.Fail, $"in use by {holder} ({setting})", $"end that program, or set {setting}");
        }
    }

    /// <summary>Whether a folder can be written and has room.</summary>
    public static Check Folder(string name, string path)
    {
        var existing = path;
        while (!Directory.Exists(existing))
        {
            existing = Path.GetDirectoryName(existing)!;
        }

        var free = new DriveInfo(existing).AvailableFreeSpace;
        var probe = Path.Combine(existing, ".loom-doctor-" + Guid.NewGuid().ToString("N"));
        try
        {
            using var file = new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Check("project", name, CheckStatus.Fail, $"{path} cannot be written: {e.Message}", $"make it writable, or set another folder");
        }

        return free > 1L << 30
            ? new Check("project", name, CheckStatus.Pass, $"{path} ({free >> 30} GiB free)")
            : new Check("project", name, CheckStatus.Warning, $"{path} has only {free >> 20} MiB free", "free some space: engines take 85 MB, models more");
    }

    private static RunState? Read(RunDirectory run, out string? damage)
    {
        damage = null;
        try
        {
            return RunState.Read(run.State);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or System.Text.Json.JsonException)
        {
            damage = $"{run.State} cannot be read: {e.Message}";
            return null;
        }
    }
}
