using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Checkpoints;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness checkpoints</c>: what a system could be resumed from; <c>verify</c> reads every byte. A run may go on meanwhile.</summary>
internal static class CheckpointsVerb
{
    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Option<string?> s_deployment = HarnessSession.DeploymentOption();

    public static Command Create()
    {
        var command = Make("checkpoints", "List the checkpoints a system could be resumed from", ["loom harness checkpoints", "loom harness checkpoints verify --json"], verify: false);
        command.Subcommands.Add(Make("verify", "Read every byte of every checkpoint; exit 1 when one is damaged", ["loom harness checkpoints verify"], verify: true));
        return command;
    }

    private static Command Make(string name, string description, string[] examples, bool verify)
    {
        var command = Verb.Create(name, description, examples, (context, parse, stop) => RunAsync(context, parse, verify, stop));
        command.Arguments.Add(s_directory);
        command.Options.Add(s_deployment);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, bool verify, CancellationToken stop)
    {
        var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, parse.GetValue(s_deployment));
        var plan = (await session.LoadStrictAsync(context.Terminal, stop).ConfigureAwait(false)).Plan!;
        var choice = Choice(plan, session);
        var folder = Path.Combine(session.Directory, ".loom", "harness", plan.Name);
        await using var store = await StateHome.OpenToReadAsync(choice, plan.Name, folder, context.Time, NullLogger.Instance, stop).ConfigureAwait(false);
        var all = verify ? await store.VerifyAsync(stop).ConfigureAwait(false) : await store.ListAsync(stop).ConfigureAwait(false);
        Write(context.Terminal, store, all);
        return verify && all.Any(c => c.Status == CheckpointStatus.Damaged) ? ExitCode.Failed : ExitCode.Ok;
    }

    private static StateChoice Choice(Loom.Harness.Architecture.SystemPlan plan, HarnessSession session)
    {
        try
        {
            return StateChoice.Of(plan, session.Options);
        }
        catch (FormatException e)
        {
            throw new CliError(ExitCode.Usage, "STATE", e.Message);
        }
    }

    private static void Write(Terminal.Terminal terminal, CheckpointStore store, IReadOnlyList<CheckpointInfo> all)
    {
        if (terminal.Json)
        {
            terminal.Out.WriteLine(new JsonObject
            {
                ["store"] = store.Adapter.Describe(),
                ["checkpoints"] = new JsonArray([.. all.Select(c => (JsonNode)Json(c))]),
            }.ToJsonString());
            return;
        }

        terminal.Note(store.Adapter.Describe());
        if (all.Count == 0)
        {
            terminal.Note("there are no checkpoints");
            return;
        }

        terminal.Table(
            [["ID", "STATUS", "TAKEN", "STATE", "COMPONENTS", ""], .. all.Select(c => new[]
            {
                c.Id.ToString(), Word(c.Status), c.Time?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "-",
                Size(c.Bytes), c.Components.ToString(CultureInfo.InvariantCulture), c.Reason ?? "",
            })],
            static (column, cell) => column != 1 ? Tone.Plain : cell == "complete" ? Tone.Good : Tone.Bad);
    }

    private static JsonObject Json(CheckpointInfo c) => new()
    {
        ["id"] = c.Id.ToString(),
        ["lineage"] = c.Id.Lineage,
        ["status"] = Word(c.Status),
        ["time"] = c.Time,
        ["bytes"] = c.Bytes,
        ["components"] = c.Components,
        ["graph_hash"] = c.GraphHash,
        ["reason"] = c.Reason,
    };

    private static string Word(CheckpointStatus status) => status switch
    {
        CheckpointStatus.Complete => "complete",
        CheckpointStatus.Unfinished => "unfinished",
        CheckpointStatus.Damaged => "damaged",
        _ => "quarantined",
    };

    private static string Size(long bytes) => bytes switch
    {
        < 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1024 * 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.0} KiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024):0.0} MiB"),
    };
}
