using System.CommandLine;
using System.Text;
using Loom.Cli.Verbs;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Locking;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness graph</c>: a system as a picture or as data. The same graph gives the same bytes; with <c>--live</c> what flows now stands beside it.</summary>
internal static class GraphVerb
{
    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Option<string> s_format = new("--format") { Description = "mermaid (default), svg or json", HelpName = "FORMAT", DefaultValueFactory = _ => "mermaid" };

    private static readonly Option<bool> s_live = new("--live") { Description = "With the rate and depth of each stream of the running system, and the component the others wait for" };

    public static Command Create()
    {
        s_format.AcceptOnlyFromAmong("mermaid", "svg", "json");
        var command = Verb.Create("graph", "Draw a system's graph", ["loom harness graph", "loom harness graph --format svg > graph.svg", "loom harness graph --live", "loom harness graph --json"], async (context, parse, stop) =>
        {
            if (parse.GetValue(s_live))
            {
                return await LiveAsync(context, parse, stop).ConfigureAwait(false);
            }

            var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, deployment: null);
            var plan = (await session.LoadStrictAsync(context.Terminal, stop).ConfigureAwait(false)).Plan!;
            var format = context.Terminal.Json ? "json" : parse.GetValue(s_format);
            context.Terminal.Out.Write(format switch
            {
                "json" => Encoding.UTF8.GetString(CanonicalText.Of(GraphDocument.Of(plan))),
                "svg" => GraphSvg.Write(plan),
                _ => GraphMermaid.Write(plan),
            });
            return Terminal.ExitCode.Ok;
        });
        command.Arguments.Add(s_directory);
        command.Options.Add(s_format);
        command.Options.Add(s_live);
        return command;
    }

    // The system that runs draws itself: what stands in the files may have changed since it began.
    private static async Task<int> LiveAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var (name, client) = RunningVerbs.Find(context, parse.GetValue(s_directory)!);
        using (client)
        {
            var format = context.Terminal.Json ? "json" : parse.GetValue(s_format);
            var text = await client.TextAsync($"/v2/harness/systems/{name}/graph?format={format}&live=true", stop).ConfigureAwait(false);
            context.Terminal.Out.Write(text.EndsWith('\n') ? text : text + "\n");
            return Terminal.ExitCode.Ok;
        }
    }
}
