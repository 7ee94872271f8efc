using System.CommandLine;

namespace Loom.Cli.Verbs;

/// <summary>Options every verb takes, before or after its name.</summary>
public static class GlobalOptions
{
    public static Option<string?> Project { get; } = new("--project", "-C") { Description = "Project folder (default: nearest folder upwards with a loom.toml)", HelpName = "DIR", Recursive = true };

    public static Option<bool> Json { get; } = new("--json") { Description = "Machine-readable output", Recursive = true };

    public static Option<bool> Quiet { get; } = new("--quiet", "-q") { Description = "No messages, only data and errors", Recursive = true };

    public static Option<bool> Verbose { get; } = new("--verbose", "-v") { Description = "Loom's own log from level info, and stack traces of failures, on stderr", Recursive = true };

    public static Option<bool> NoColor { get; } = new("--no-color") { Description = "No colour (also NO_COLOR)", Recursive = true };

    public static Option<bool> NoInput { get; } = new("--no-input") { Description = "Never ask anything", Recursive = true };

    public static Option<string[]> Set { get; } = new("--set") { Description = "Set one configuration key for this command, repeatable", HelpName = "KEY=VALUE", Recursive = true, AllowMultipleArgumentsPerToken = false, DefaultValueFactory = _ => [] };

    public static Option[] All { get; } = [Project, Json, Quiet, Verbose, NoColor, NoInput, Set];
}
