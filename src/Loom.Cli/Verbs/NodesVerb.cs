using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Core.Settings;
using Loom.Wire;

namespace Loom.Cli.Verbs;

/// <summary><c>loom nodes</c>: the machines a control plane knows, and who of them gets work.</summary>
internal static class NodesVerb
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private static readonly Option<string?> s_url = new("--url") { Description = "The control plane (default: the project that runs here, else ORCHESTRATORD_URL)", HelpName = "URL" };
    private static readonly Option<string?> s_state = new("--state") { Description = "Only nodes that are registering, online or offline" };
    private static readonly Option<TimeSpan?> s_deadline = DurationOption.Create("--deadline", "Time running work has before it is cut", TimeSpan.FromSeconds(30));
    private static readonly Argument<string> s_id = new("ID") { Description = "The node" };

    public static Command Create()
    {
        var command = Verb.Create("nodes", "List the nodes, or drain, undrain or remove one", ["loom nodes", "loom nodes --json --state offline", "loom nodes drain gpu-node-1 --deadline 60s"], ListAsync);
        command.Options.Add(s_state);
        var drain = Verb.Create("drain", "Send a node no more work, and let running work finish", ["loom nodes drain gpu-node-1"], DrainAsync);
        drain.Options.Add(s_deadline);
        var undrain = Verb.Create("undrain", "Send a node work again", ["loom nodes undrain gpu-node-1"], (context, parse, cancel) => ActAsync(context, parse, HttpMethod.Post, "/undrain", null, cancel));
        var remove = Verb.Create("rm", "Forget a node; one that still runs comes back by itself", ["loom nodes rm gpu-node-1"], (context, parse, cancel) => ActAsync(context, parse, HttpMethod.Delete, "", null, cancel));
        foreach (var one in (Command[])[drain, undrain, remove])
        {
            one.Arguments.Add(s_id);
            command.Subcommands.Add(one);
        }

        foreach (var one in (Command[])[command, drain, undrain, remove])
        {
            one.Options.Add(s_url);
        }

        return command;
    }

    private static async Task<int> ListAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var query = parse.GetValue(s_state) is { } state ? "?state=" + Uri.EscapeDataString(state) : "";
        var body = await AskAsync(context, parse, HttpMethod.Get, "/v2/nodes" + query, null, cancellationToken).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(Encoding.UTF8.GetString(body));
            return ExitCode.Ok;
        }

        var nodes = JsonSerializer.Deserialize(body, NodeViewJson.Default.NodeList)!.Nodes;
        if (nodes.IsEmpty)
        {
            context.Terminal.Note("no node is known");
            return ExitCode.Ok;
        }

        string[][] rows = [["NODE", "STATE", "HEARD", "SLOTS", "GPUS", "POOLS"], .. nodes.Select(Row)];
        var widths = Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length)).ToArray();
        foreach (var row in rows)
        {
            context.Terminal.Out.WriteLine(string.Join("  ", row.Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd());
        }

        return ExitCode.Ok;
    }

    private static string[] Row(NodeView node) =>
    [
        node.NodeId,
        node.Draining ? $"{node.State}, draining" : node.State,
        string.Create(CultureInfo.InvariantCulture, $"{node.LastHeartbeatMsAgo / 1000.0:0.0} s ago"),
        string.Create(CultureInfo.InvariantCulture, $"{node.Pools.Where(p => p.Ready).Sum(p => p.SlotsFree)}/{node.Pools.Sum(p => p.SlotsTotal)}"),
        node.Gpus.Length.ToString(CultureInfo.InvariantCulture),
        string.Join(", ", node.Pools.Select(p => $"{p.PoolId}/{p.ReplicaId} {(p.Ready ? p.Model : p.LastError ?? "not ready")}")),
    ];

    private static Task<int> DrainAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var body = parse.GetValue(s_deadline) is { } deadline ? string.Create(CultureInfo.InvariantCulture, $$"""{"deadline_ms":{{(long)deadline.TotalMilliseconds}}}""") : "{}";
        return ActAsync(context, parse, HttpMethod.Post, "/drain", body, cancellationToken);
    }

    private static async Task<int> ActAsync(VerbContext context, ParseResult parse, HttpMethod method, string action, string? body, CancellationToken cancellationToken)
    {
        var id = parse.GetValue(s_id)!;
        var answer = await AskAsync(context, parse, method, $"/v2/nodes/{Uri.EscapeDataString(id)}{action}", body, cancellationToken).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(answer.Length > 0 ? Encoding.UTF8.GetString(answer) : """{"schema":1,"removed":true}""");
        }
        else
        {
            context.Terminal.Note(action switch
            {
                "/drain" => $"{id} drains",
                "/undrain" => $"{id} takes work again",
                _ => $"{id} is removed",
            });
        }

        return ExitCode.Ok;
    }

    private static async Task<byte[]> AskAsync(VerbContext context, ParseResult parse, HttpMethod method, string path, string? body, CancellationToken cancellationToken)
    {
        var (address, token) = await FindAsync(context, parse, cancellationToken).ConfigureAwait(false);
        using var client = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        using var request = new HttpRequestMessage(method, address.GetLeftPart(UriPartial.Authority) + path);
        if (token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }

        using var patience = new CancellationTokenSource(s_patience, context.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var answer = await client.SendAsync(request, both.Token).ConfigureAwait(false);
            var bytes = await answer.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            return answer.IsSuccessStatusCode ? bytes : throw Refused(address, answer.StatusCode, bytes);
        }
        catch (HttpRequestException e)
        {
            throw new CliError(ExitCode.NotRunning, "UNREACHABLE", $"{address} cannot be reached: {e.GetBaseException().Message}", "name the control plane with --url");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CliError(ExitCode.TimedOut, "TIMED_OUT", $"{address} did not answer within {s_patience.TotalSeconds:0} s");
        }
    }

    private static async Task<(Uri Address, string? Token)> FindAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        if ((parse.GetValue(s_url) ?? context.Environment.GetValueOrDefault("ORCHESTRATORD_URL")?.Split(',')[0]) is not { Length: > 0 } url)
        {
            var running = await RunningApi.FindAsync(context, cancellationToken).ConfigureAwait(false);
            return (running.Address, running.Token);
        }

        return Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? (address, context.Environment.GetValueOrDefault("LLORCH_API_TOKEN"))
            : throw new CliError(ExitCode.Usage, "USAGE", $"--url wants an http or https URL, found '{Redaction.Plain(url)}'", "--url http://127.0.0.1:8080");
    }

    private static CliError Refused(Uri address, HttpStatusCode status, byte[] body)
    {
        string? message = null;
        try
        {
            using var json = JsonDocument.Parse(body);
            message = json.RootElement.TryGetProperty("message", out var text) ? text.GetString() : null;
        }
        catch (JsonException)
        {
            // Not ours; the status has to do.
        }

        var exit = status switch
        {
            HttpStatusCode.NotFound => ExitCode.NotRunning,
            HttpStatusCode.BadRequest => ExitCode.Usage,
            _ => ExitCode.Failed,
        };
        return new CliError(exit, "REFUSED", message ?? $"{address} answered with status {(int)status}", status == HttpStatusCode.Unauthorized ? "set LLORCH_API_TOKEN to the control plane's token" : null);
    }
}
