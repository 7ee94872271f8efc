using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Settings;
using Loom.Cli.Config;
using Loom.Cli.Systemd;
using Loom.Cli.Terminal;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary><c>loom systemd</c>: a service unit that runs this project unattended.</summary>
internal static class SystemdVerb
{
    private static readonly Option<bool> s_user = new("--user") { Description = "A unit of the user's own service manager; without it, one of the system's" };
    private static readonly Option<string?> s_as = new("--as") { Description = "User a system unit runs as (default: you; with sudo, who called it)", HelpName = "USER" };

    public static Command Create()
    {
        var print = Verb.Create("print", "Print the service unit of this project", ["loom systemd print", "loom systemd print --user > loom.service"], Print);
        var install = Verb.Create(
            "install",
            "Write the service unit where systemd finds it, and say what to run next",
            ["loom systemd install --user", "sudo loom systemd install -C /srv/project --as loom"],
            InstallAsync);
        foreach (var command in (Command[])[print, install])
        {
            command.Options.Add(s_user);
            command.Options.Add(s_as);
        }

        return new Command("systemd", "Run the project as a service of systemd") { print, install };
    }

    private static Task<int> Print(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        if (UnitOf(context, parse) is not { } unit)
        {
            return Task.FromResult(ExitCode.Usage);
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new UnitDocument(1, unit.Path, unit.Text, null), SystemdJson.Default.UnitDocument));
        }
        else
        {
            context.Terminal.Out.Write(unit.Text);
        }

        return Task.FromResult(ExitCode.Ok);
    }

    private static async Task<int> InstallAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        if (UnitOf(context, parse) is not { } unit)
        {
            return ExitCode.Usage;
        }

        var present = File.Exists(unit.Path) ? await File.ReadAllTextAsync(unit.Path, cancellationToken).ConfigureAwait(false) : null;
        if (present is not null && !present.StartsWith(UnitFile.Mark, StringComparison.Ordinal))
        {
            throw new CliError(ExitCode.Usage, "EXISTS", $"{unit.Path} was not written by loom, so it is left alone", "loom systemd print shows what would be written");
        }

        var changed = present != unit.Text;
        if (changed)
        {
            await WriteAsync(unit, parse.GetValue(s_user), cancellationToken).ConfigureAwait(false);
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new UnitDocument(1, unit.Path, unit.Text, changed), SystemdJson.Default.UnitDocument));
            return ExitCode.Ok;
        }

        var name = Path.GetFileName(unit.Path);
        context.Terminal.Note(changed ? $"wrote {unit.Path}" : $"{unit.Path} is as it should be");
        context.Terminal.Note(parse.GetValue(s_user)
            ? $"\nnext:\n  systemctl --user daemon-reload && systemctl --user enable --now {name}\n  loginctl enable-linger      (to run also while you are not logged in)"
            : $"\nnext:\n  systemctl daemon-reload && systemctl enable --now {name}");
        return ExitCode.Ok;
    }

    private static async Task WriteAsync((string Path, string Text) unit, bool user, CancellationToken cancellationToken)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(unit.Path)!);
            await File.WriteAllTextAsync(unit.Path, unit.Text, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_WRITE", $"cannot write {unit.Path}: {e.Message}", user ? "make the folder writable" : "sudo loom systemd install, or loom systemd install --user");
        }
    }

    private static (string Path, string Text)? UnitOf(VerbContext context, ParseResult parse)
    {
        if (ProcessConfiguration.LoadStrict(context, parse, LoomPart.Up) is not { } settings)
        {
            return null;
        }

        var user = parse.GetValue(s_user);
        var environment = context.Environment;
        var plan = new UnitPlan
        {
            Project = Path.GetFileName(settings.ProjectFolder.TrimEnd('/')),
            Folder = settings.ProjectFolder,
            Executable = context.Executable,
            User = user ? null : parse.GetValue(s_as) ?? environment.GetValueOrDefault("SUDO_USER") ?? Environment.UserName,
            SearchPath = environment.GetValueOrDefault("PATH") ?? "/usr/local/bin:/usr/bin:/bin",
            DotnetRoot = environment.GetValueOrDefault("DOTNET_ROOT"),
            ShutdownTimeout = RuntimeOptions.From(settings).ShutdownTimeout,
        };
        return (PathOf(FolderOf(user, environment), plan), UnitFile.Write(plan));
    }

    // Two projects may have the same name: the second one gets a unit of its own, and keeps it.
    private static string PathOf(string units, UnitPlan plan)
    {
        var usual = Path.Combine(units, UnitFile.NameOf(plan.Project));
        var own = Path.Combine(units, UnitFile.NameOf(plan.Project, plan.Folder));
        return File.Exists(own) || (File.Exists(usual) && UnitFile.IsOfAnother(File.ReadAllText(usual), plan.Folder)) ? own : usual;
    }

    private static string FolderOf(bool user, IReadOnlyDictionary<string, string> environment)
    {
        if (!user)
        {
            return "/etc/systemd/system";
        }

        var config = environment.GetValueOrDefault("XDG_CONFIG_HOME") is { Length: > 0 } chosen ? chosen : Path.Combine(environment.GetValueOrDefault("HOME") ?? "/", ".config");
        return Path.Combine(config, "systemd", "user");
    }
}

internal sealed record UnitDocument(int Schema, string Path, string Text, bool? Changed);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(UnitDocument))]
internal sealed partial class SystemdJson : JsonSerializerContext;
