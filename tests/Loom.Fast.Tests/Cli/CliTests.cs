using System.CommandLine;
using Loom.Cli;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class CliTests
{
    private static readonly Func<string, string?> s_none = _ => null;

    [Fact]
    public void FlagTwins_VariableSet_AddsTheFlag()
    {
        var root = Root();
        FlagTwins.Apply(root, ["version"], n => n == "LOOM_JSON" ? "yes" : null).ShouldBe(["version", "--json"]);
        FlagTwins.Apply(root, ["logs", "a"], n => n == "LOOM_LINES" ? "7" : null).ShouldBe(["logs", "a", "--lines", "7"]);
    }

    [Fact]
    public void FlagTwins_FlagGiven_Wins() => FlagTwins.Apply(Root(), ["logs", "-n", "3"], n => n == "LOOM_LINES" ? "7" : null).ShouldBe(["logs", "-n", "3"]);

    [Fact]
    public void FlagTwins_FalseOrUnset_AddNothing()
    {
        FlagTwins.Apply(Root(), ["version"], s_none).ShouldBe(["version"]);
        FlagTwins.Apply(Root(), ["version"], n => n == "LOOM_JSON" ? "0" : null).ShouldBe(["version"]);
    }

    [Fact]
    public void FlagTwins_NeitherOnNorOff_IsAUsageError()
    {
        var error = Should.Throw<CliError>(() => FlagTwins.Apply(Root(), ["version"], n => n == "LOOM_JSON" ? "maybe" : null));
        error.Exit.ShouldBe(ExitCode.Usage);
        error.Message.ShouldContain("LOOM_JSON is 'maybe'");
    }

    [Theory]
    [InlineData("10m", 600)]
    [InlineData("2h", 7200)]
    [InlineData("0s", 0)]
    public void Since_Age_CountsFromNow(string text, int seconds)
    {
        var time = new ManualTimeProvider();
        LogsVerb.Since(text, time).ShouldBe(time.GetUtcNow() - TimeSpan.FromSeconds(seconds));
    }

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("-5m")]
    [InlineData("1e300d")]
    [InlineData("NaNs")]
    [InlineData("soon")]
    public void Since_Nonsense_IsAUsageError(string text) =>
        Should.Throw<CliError>(() => LogsVerb.Since(text, new ManualTimeProvider())).Exit.ShouldBe(ExitCode.Usage);

    [Theory]
    [InlineData("logs", "-n", "-5")]
    public void Parse_NumberOutOfRange_IsAnError(params string[] args) => Root().Parse(args).Errors.ShouldNotBeEmpty();

    [Fact]
    public void Commands_AllOfThem_HaveDescriptionAndExamples()
    {
        foreach (var command in All(Root()).Where(c => !c.Hidden && c.Subcommands.Count == 0))
        {
            command.Description.ShouldNotBeNullOrWhiteSpace(command.Name);
            Examples.Of(command).ShouldNotBeEmpty(command.Name);
            foreach (var option in command.Options)
            {
                option.Description.ShouldNotBeNullOrWhiteSpace($"{command.Name} {option.Name}");
            }
        }
    }

    [Theory]
    [InlineData("2026-11-22T02:36:03.123Z hello there", "hello there", 123)]
    [InlineData("2026-11-22T02:36:03.123+00:00 hello there", "hello there", 123)]
    public void LogLine_WithTime_IsTakenApart(string line, string text, int milliseconds)
    {
        var parsed = LogLine.Parse("a", line);
        parsed.Text.ShouldBe(text);
        parsed.At!.Value.Millisecond.ShouldBe(milliseconds);
    }

    [Theory]
    [InlineData("hello")]
    [InlineData("")]
    [InlineData("not-a-time-but-long-enough then text")]
    public void LogLine_WithoutTime_StaysWhole(string line)
    {
        var parsed = LogLine.Parse("a", line);
        parsed.Text.ShouldBe(line);
        parsed.At.ShouldBeNull();
    }

    [Fact]
    public void CliError_Json_IsTheDocumentedObject()
    {
        var err = new StringWriter();
        var terminal = new Terminal { Out = TextWriter.Null, Err = err, In = TextReader.Null, Json = true };
        new CliError(ExitCode.Usage, "NO_PROJECT", "nothing here", "loom init").WriteTo(terminal);
        err.ToString().Trim().ShouldBe("""{"error":{"code":"NO_PROJECT","message":"nothing here","fix":"loom init","exit":2}}""");
    }

    [Fact]
    public void Paint_ColourOff_IsTheTextItself() =>
        new Terminal { Out = TextWriter.Null, Err = TextWriter.Null, In = TextReader.Null }.Paint(Tone.Bad, "x").ShouldBe("x");

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    private static RootCommand Root()
    {
        using var signals = new ProcessSignals();
        return CommandLine.CreateRoot(signals);
    }
}
