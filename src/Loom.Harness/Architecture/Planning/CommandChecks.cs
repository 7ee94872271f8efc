using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>The program of a command and its files are there.</summary>
internal sealed class CommandChecks(PlanningContext context)
{
    /// <summary>Commands may run at all.</summary>
    public static void Allowed(PlacedSystem system, FindingList findings)
    {
        foreach (var component in system.Components.Where(c => c.Plan.Uses.Command is not null && !system.Policy.AllowExec))
        {
            findings.Error(Codes.ExecRefused, component.Node.Find("uses") ?? component.NameNode,
                $"component \"{component.Plan.Name}\" runs a program, which policy.security.allow_exec: false forbids; use a built-in, or allow it");
        }
    }

    public void Run(CommandPlan command, YamlNode uses, string owner)
    {
        var at = uses is YamlMapping map ? map.Find("command") ?? map : uses;
        if (command.Command is [var program, ..])
        {
            var folder = Path.GetFullPath(command.Cwd ?? ".", context.Directory);
            var paths = program.Contains('/', StringComparison.Ordinal)
                ? [Path.GetFullPath(program, folder)]
                : context.Variables.Value("PATH")?.Split(':', StringSplitOptions.RemoveEmptyEntries).Select(f => Path.Combine(f, program)).ToArray() ?? [];
            if (!paths.Any(context.Files.IsExecutable))
            {
                var there = paths is [var only] && context.Files.Exists(only);
                context.Findings.Error(Codes.Command, at is YamlSequence { Items: [var first, ..] } ? first : at,
                    $"{owner}: {Redaction.Plain(program)} {(there ? "is not executable; chmod +x it, or write its interpreter in front" : program.Contains('/', StringComparison.Ordinal) ? "does not exist; paths start from cwd, or from the system's folder" : "is not in PATH; install it, or write its path")}");
            }
        }

        foreach (var file in command.Files.Where(f => !context.Files.Exists(Path.GetFullPath(f, context.Directory))))
        {
            context.Findings.Error(Codes.HomeMissing, uses is YamlMapping inner ? inner.Find("files") ?? uses : uses, $"{owner}: there is no file {Redaction.Plain(file)}; paths start from the system's folder");
        }
    }
}
