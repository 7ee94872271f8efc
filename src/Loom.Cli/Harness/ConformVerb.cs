using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Commands;
using Loom.Processes;
using Loom.Processes.Guarding;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness conform -- CMD…</c>: whether a program in any language keeps the rules of a component.</summary>
internal static class ConformVerb
{
    private static readonly Argument<string[]> s_command = new("CMD") { Description = "The program and its arguments, behind --", Arity = ArgumentArity.OneOrMore };
    private static readonly Option<bool> s_source = new("--source") { Description = "It is a source: it sends events of its own accord" };
    private static readonly Option<string[]> s_samples = new("--sample") { Description = "A payload it can make something of, as JSON; may be given again (default: \"hello\")", HelpName = "JSON" };
    private static readonly Option<string?> s_config = new("--config") { Description = "Its config, as JSON (default: {})", HelpName = "JSON" };
    private static readonly Option<string> s_in = new("--in") { Description = "Its input port", DefaultValueFactory = static _ => "in", HelpName = "PORT" };
    private static readonly Option<string[]> s_out = new("--out") { Description = "An output port; may be given again (default: out)", HelpName = "PORT" };

    public static Command Create()
    {
        var command = Verb.Create("conform", "Try whether a program keeps the rules of a component",
            ["loom harness conform -- python3 score.py", "loom harness conform --sample '{\"text\":\"hi\"}' -- node score.mjs", "loom harness conform --source -- ./feed.sh"], RunAsync);
        command.Arguments.Add(s_command);
        foreach (var option in new Option[] { s_source, s_samples, s_config, s_in, s_out })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var samples = parse.GetValue(s_samples) ?? [];
        var outputs = parse.GetValue(s_out) ?? [];
        var request = new ConformanceRequest
        {
            Command = parse.GetValue(s_command)!,
            IsSource = parse.GetValue(s_source),
            Samples = samples.Length == 0 ? [Json("--sample", "\"hello\"")] : [.. samples.Select(s => Json("--sample", s))],
            Config = Json("--config", parse.GetValue(s_config) ?? "{}"),
            Input = parse.GetValue(s_in)!,
            Outputs = outputs.Length == 0 ? ["out"] : outputs,
        };
        var run = Directory.CreateTempSubdirectory("loom-conform-").FullName;
        try
        {
            await using var supervisor = new Supervisor(new SupervisorOptions
            {
                RunId = "conform-" + Guid.NewGuid().ToString("N"),
                GuardianCommand = Guardian.CommandLine(context.Executable, run),
                Time = context.Time,
            });
            var conformance = new Conformance(request, supervisor, context.WorkingDirectory, context.Environment, context.Time);
            var checks = new List<ConformanceCheck>();
            await foreach (var check in conformance.RunAsync(stop).ConfigureAwait(false))
            {
                checks.Add(check);
                if (!context.Terminal.Json)
                {
                    Tell(context.Terminal, check);
                }
            }

            return End(context.Terminal, checks);
        }
        finally
        {
            Directory.Delete(run, recursive: true);
        }
    }

    private static void Tell(Terminal.Terminal terminal, ConformanceCheck check)
    {
        var (tone, word) = check.Passed switch
        {
            true => (Tone.Good, "ok  "),
            false => (Tone.Bad, "FAIL"),
            null => (Tone.Dim, "-   "),
        };
        terminal.Out.WriteLine($"{terminal.Paint(tone, word)} {check.Name}: {check.Detail}");
    }

    private static int End(Terminal.Terminal terminal, IReadOnlyList<ConformanceCheck> checks)
    {
        var failed = checks.Count(c => c.Passed == false);
        if (terminal.Json)
        {
            terminal.Out.WriteLine(new JsonObject
            {
                ["conforms"] = failed == 0,
                ["checks"] = new JsonArray([.. checks.Select(c => (JsonNode)new JsonObject { ["name"] = c.Name, ["passed"] = c.Passed, ["detail"] = c.Detail })]),
            }.ToJsonString());
        }
        else
        {
            terminal.Note(failed == 0 ? "it conforms" : $"{failed} of {checks.Count} checks failed");
        }

        return failed == 0 ? ExitCode.Ok : ExitCode.Failed;
    }

    private static JsonElement Json(string option, string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new CliError(ExitCode.Usage, "USAGE", $"{option} is not JSON: {e.Message}", $"for example {option} '{{\"text\":\"hi\"}}'");
        }
    }
}
