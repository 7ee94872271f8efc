using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Loom.Cli.Systemd;

/// <summary>What a service unit says.</summary>
internal sealed record UnitPlan
{
    /// <summary>Name of the project, for the description.</summary>
    public required string Project { get; init; }

    /// <summary>Absolute project folder.</summary>
    public required string Folder { get; init; }

    /// <summary>Absolute path of <c>loom</c>.</summary>
    public required string Executable { get; init; }

    /// <summary>User it runs as; null = a unit of the user's own manager.</summary>
    public string? User { get; init; }

    /// <summary>PATH of its agents; a manager's own is too short for interpreters that were installed by hand.</summary>
    public required string SearchPath { get; init; }

    /// <summary><c>DOTNET_ROOT</c>, where the runtime is not in its usual place; null = it is.</summary>
    public string? DotnetRoot { get; init; }

    /// <summary>The project's <c>runtime.shutdown_timeout</c>.</summary>
    public required TimeSpan ShutdownTimeout { get; init; }
}

/// <summary>Writes a systemd service unit. Pure.</summary>
internal static class UnitFile
{
    /// <summary>First line: says who wrote the file, and so who may replace it.</summary>
    public const string Mark = "# Written by 'loom systemd'; the next 'loom systemd install' replaces it.";

    // After Loom's own patience is over it kills at once; what is left of the time is for the sweep.
    private static readonly TimeSpan s_slack = TimeSpan.FromSeconds(15);

    public static string Write(UnitPlan plan)
    {
        var text = new StringBuilder();
        void Line(string line = "") => text.Append(line).Append('\n');
        Line(Mark);
        Line("[Unit]");
        Line($"Description=Loom project {Plain(plan.Project)}");
        if (plan.User is not null)
        {
            Line("Wants=network-online.target");
            Line("After=network-online.target");
        }

        Line();
        Line("[Service]");
        Line("Type=notify");
        Line("NotifyAccess=main");
        Line($"WorkingDirectory={Plain(plan.Folder)}");
        Line($"ExecStart={Quoted(plan.Executable).Replace("$", "$$", StringComparison.Ordinal)} up --no-input");
        if (plan.User is { } user)
        {
            Line($"User={Plain(user)}");
        }

        Line($"Environment={Quoted("PATH=" + plan.SearchPath)}");
        if (plan.DotnetRoot is { } root)
        {
            Line($"Environment={Quoted("DOTNET_ROOT=" + root)}");
        }

        Line("# Loom stops its children in order by itself, and ends its start when runtime.startup_timeout is over.");
        Line("KillMode=mixed");
        Line("TimeoutStartSec=infinity");
        Line($"TimeoutStopSec={Math.Ceiling((plan.ShutdownTimeout + s_slack).TotalSeconds).ToString(CultureInfo.InvariantCulture)}");
        Line("SuccessExitStatus=143");
        Line("Restart=on-failure");
        Line("RestartSec=5");
        Line("# 2: configuration, 6: checksum. Trying again does not help.");
        Line("RestartPreventExitStatus=2 6");
        Line("WatchdogSec=30");
        Line("# Loom makes cgroups of its own below its unit, for limits of agents.");
        Line("Delegate=yes");
        Line();
        Line("[Install]");
        Line($"WantedBy={(plan.User is null ? "default.target" : "multi-user.target")}");
        return text.ToString();
    }

    /// <summary>Whether a unit was written for a project in another folder.</summary>
    public static bool IsOfAnother(string unit, string folder) =>
        unit.StartsWith(Mark, StringComparison.Ordinal) && !unit.Split('\n').Contains($"WorkingDirectory={Plain(folder)}", StringComparer.Ordinal);

    /// <summary>Name of the unit of a project whose own name another project of the same name has: <c>loom-NAME-HASH.service</c>, by its folder.</summary>
    public static string NameOf(string project, string folder) =>
        NameOf($"{project}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)).AsSpan(0, 4))}");

    /// <summary>Name of the unit of a project: <c>loom-NAME.service</c>, with what a unit may not be called replaced.</summary>
    public static string NameOf(string project)
    {
        var name = new StringBuilder("loom-");
        foreach (var c in project)
        {
            name.Append(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-');
        }

        return name.Append(".service").ToString();
    }

    // systemd expands % in every value.
    private static string Plain(string value) => value.Replace("%", "%%", StringComparison.Ordinal).ReplaceLineEndings(" ");

    private static string Quoted(string value) =>
        "\"" + Plain(value).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";
}
