using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Cli.Composition;
using Loom.Cli.Pools;
using Loom.Cli.Status;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Wire;

namespace Loom.Cli.Nodes;

/// <summary><c>loom nodes</c>: the machines of a control plane, and what operators do with them.</summary>
internal static class NodesVerb
{
    private static readonly Argument<string> s_id = new("ID") { Description = "The node, as loom nodes shows it" };
    private static readonly Option<TimeSpan?> s_deadline =
        DurationOption.Create("--deadline", "Time running requests have before they are cut; without it serving.drain_deadline_ms");

    private static readonly Option<string?> s_state = new("--state") { Description = "Only nodes that are registering, online or offline" };

    public static Command Create()
    {
        var nodes = Verb.Create(
            "nodes", "Show the nodes of a control plane, or take one out of work",
            ["loom nodes", "loom nodes --url http://queen-rbee:8080", "loom nodes drain gpu-node-1"],
            (context, parse, stop) => ListAsync(context, parse.GetValue(RunningApi.Url), parse.GetValue(s_state), stop));
        nodes.Options.Add(RunningApi.Url);
        nodes.Options.Add(s_state);
        nodes.Subcommands.Add(Change("drain", "Send a node no new work; what runs there may finish", ["loom nodes drain gpu-node-1 --deadline 5m"],
            (parse, client, id, stop) => client.PostAsync(PathOf(id) + "/drain", Body(parse.GetValue(s_deadline)), stop), "takes no new work", s_deadline));
        nodes.Subcommands.Add(Change("undrain", "Give a drained node work again", ["loom nodes undrain gpu-node-1"],
            (_, client, id, stop) => client.PostAsync(PathOf(id) + "/undrain", null, stop), "takes work again"));
        nodes.Subcommands.Add(Change("rm", "Forget a node; an agent that is alive registers again", ["loom nodes rm gpu-node-1"],
            (_, client, id, stop) => client.DeleteAsync(PathOf(id), stop), "is forgotten"));
        return nodes;
    }

    /// <summary>The rows of the table, the head first.</summary>
    /// <param name="nodes">The nodes as the control plane shows them.</param>
    internal static List<string[]> Rows(IEnumerable<NodeView> nodes)
    {
        List<string[]> rows = [["NODE", "STATE", "HEARD", "POOLS", "SLOTS", "GPUS", "VERSION", "ADDRESS", "NOTE"]];
        rows.AddRange(nodes.Select(n => new[]
        {
            n.NodeId, n.Draining ? n.State + ", draining" : n.State, StatusTable.Age(TimeSpan.FromMilliseconds(n.LastHeartbeatMsAgo)) + " ago", Pools(n),
            string.Create(CultureInfo.InvariantCulture, $"{n.Pools.Sum(p => p.SlotsFree)}/{n.Pools.Sum(p => p.SlotsTotal)} free"),
            n.Gpus.Length.ToString(CultureInfo.InvariantCulture), n.Version ?? "-", n.Address.Length > 0 ? n.Address : "this process", Note(n),
        }));
        return rows;
    }

    private static string Pools(NodeView node) => node.Pools.IsEmpty
        ? "-"
        : string.Join(", ", node.Pools.GroupBy(p => p.PoolId, StringComparer.Ordinal).Select(p => p.Any(r => r.Ready) ? p.Key : p.Key + " (not ready)"));

    private static string Note(NodeView node) =>
        node.State != "online" && !node.RecentErrors.IsEmpty ? node.RecentErrors[^1].Message
        : node.Pools.FirstOrDefault(p => p.LastError is { Length: > 0 })?.LastError ?? (node.Mock ? "mock" : "-");

    private static string PathOf(string id) => $"/v2/nodes/{Uri.EscapeDataString(id)}";

    private static JsonObject Body(TimeSpan? deadline) => deadline is { } time ? new JsonObject { ["deadline_ms"] = (long)time.TotalMilliseconds } : [];

    private static async Task<int> ListAsync(VerbContext context, string? url, string? state, CancellationToken stop)
    {
        using var client = new ManagementClient(await RunningApi.FindAsync(context, url, stop).ConfigureAwait(false));
        var answer = await client.GetAsync(state is null ? "/v2/nodes" : $"/v2/nodes?state={Uri.EscapeDataString(state)}", stop).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(answer.GetRawText());
            return ExitCode.Ok;
        }

        var nodes = JsonSerializer.Deserialize(answer, NodeViewJson.Default.NodeList)!.Nodes;
        context.Terminal.Table(Rows(nodes));
        if (nodes.IsEmpty)
        {
            context.Terminal.Note(state is null ? "no node has registered; start one: ORCHESTRATORD_URL=... loom pool-managerd" : $"no node is {state}");
        }

        return ExitCode.Ok;
    }

    private static Command Change(
        string word, string description, string[] examples, Func<ParseResult, ManagementClient, string, CancellationToken, Task<JsonElement?>> ask, string done, params Option[] options)
    {
        var command = Verb.Create(word, description, examples, async (context, parse, stop) =>
        {
            var id = parse.GetValue(s_id)!;
            using var client = new ManagementClient(await RunningApi.FindAsync(context, parse.GetValue(RunningApi.Url), stop).ConfigureAwait(false));
            var answer = await ask(parse, client, id, stop).ConfigureAwait(false);
            if (context.Terminal.Json && answer is { } node)
            {
                context.Terminal.Out.WriteLine(node.GetRawText());
            }

            context.Terminal.Note($"node {id} {done}");
            return ExitCode.Ok;
        });
        command.Arguments.Add(s_id);
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        return command;
    }
}
