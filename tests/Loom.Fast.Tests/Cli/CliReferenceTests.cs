using System.CommandLine;
using System.CommandLine.Help;
using System.Text.RegularExpressions;
using Loom.Cli;
using Loom.Cli.Verbs;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

/// <summary>The document of the command line and the command line agree.</summary>
public sealed partial class CliReferenceTests
{
    private static readonly string s_path = Path.Combine(Repository.Root, "docs", "reference", "cli.md");

    [Fact]
    public void Document_SectionOnVerbs_IsThatOfTheCommands()
    {
        var text = File.ReadAllText(s_path);
        string.Equals(CliReference.In(text, Root()), text, StringComparison.Ordinal).ShouldBeTrue("docs/reference/cli.md is not what the commands give; rewrite it: ./loom config reference docs/reference");
    }

    [Fact]
    public void Document_EveryFlagItNames_Exists()
    {
        var flags = All(Root()).SelectMany(c => c.Options).SelectMany(o => o.Aliases.Append(o.Name)).ToHashSet(StringComparer.Ordinal);
        Flag().Matches(File.ReadAllText(s_path)).Select(m => m.Value).Where(f => !flags.Contains(f)).Distinct().ShouldBeEmpty();
    }

    [Fact]
    public void Document_EveryFlagThatExists_IsNamed()
    {
        var text = File.ReadAllText(s_path);
        var missing = All(Root()).Where(c => !c.Hidden).SelectMany(c => c.Options)
            .Where(o => !o.Hidden && o is not (HelpOption or VersionOption)).Select(o => o.Name).Distinct().Where(f => !text.Contains($"`{f}", StringComparison.Ordinal));
        missing.ShouldBeEmpty();
    }

    [Fact]
    public void Document_EveryExitCode_IsInItsTable()
    {
        var table = File.ReadAllText(s_path).Split("## Exit codes")[1].Split("\n## ")[0];
        foreach (var field in typeof(Loom.Cli.Terminal.ExitCode).GetFields())
        {
            table.ShouldContain($"| {field.GetRawConstantValue()} |");
        }
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    private static RootCommand Root()
    {
        using var signals = new ProcessSignals();
        return CommandLine.CreateRoot(signals);
    }

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z-]*[a-z]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Flag();
}
