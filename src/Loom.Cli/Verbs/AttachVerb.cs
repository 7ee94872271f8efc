using System.CommandLine;
using Loom.Agents.Project;
using Loom.Cli.Logs;
using Loom.Cli.Status;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom attach</c>: follows what processes write, until Ctrl-C or the end of the run.</summary>
internal static class AttachVerb
{
    public static Command Create()
    {
        var names = new Argument<string[]>("NAME") { Description = "Processes or agents (default: all)", Arity = ArgumentArity.ZeroOrMore };
        var earlier = new Option<int>("--lines", "-n") { Description = "Earlier lines of each process shown first, 0 to 1000 (default: 0)", DefaultValueFactory = _ => 0 };
        earlier.Validators.Add(static result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var lines) && lines is < 0 or > 1000)
            {
                result.AddError($"--lines wants 0 to 1000, found {lines}.");
            }
        });
        var command = Verb.Create(
            "attach",
            "Follow what processes write; Ctrl-C detaches, the project runs on",
            ["loom attach", "loom attach researcher -n 20", "loom attach --json | jq .line"],
            (context, parse, stop) => RunAsync(context, parse.GetValue(names) ?? [], parse.GetValue(earlier), stop));
        names.CompletionSources.Add(KnownNames.Processes());
        command.Arguments.Add(names);
        command.Options.Add(earlier);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, string[] names, int earlier, CancellationToken stop)
    {
        var project = RunningProject.Of(context);
        var run = project.Look(stop);
        if (names.FirstOrDefault(n => !run.Processes.Any(p => p.Answers(n))) is { } unknown)
        {
            throw UnknownName.Error(unknown, run);
        }

        context.Terminal.Note("following; Ctrl-C detaches, loom down stops the project");
        var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
        try
        {
            // One name is filtered by the runtime, so that a loud neighbour does not fill the way.
            await foreach (var line in new ControlClient(project.Directory.Socket).FollowAsync(names is [var one] && run.Processes.Any(p => p.Name == one) ? one : null, earlier, stop).ConfigureAwait(false))
            {
                if (names.Length == 0 || names.Any(n => ReplicaName.Answers(line.Name, n)))
                {
                    printer.Print(new LogLine(line.Name, line.At, line.Text, line.Err));
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCode.Ok; // detached, as was offered
        }

        context.Terminal.Note("the run has ended");
        return ExitCode.Ok;
    }
}
