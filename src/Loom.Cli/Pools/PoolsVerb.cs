using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Wire;

namespace Loom.Cli.Pools;

/// <summary><c>loom pools</c>: the pools of the running project, and what operators do with them.</summary>
internal static class PoolsVerb
{
    private static readonly Argument<string> s_id = new("ID") { Description = "The pool, as loom pools shows it" };
    private static readonly Argument<string> s_model = new("MODEL") { Description = "Catalog id or reference: demo, file:PATH, https://..., hf:org/repo/file.gguf" };
    private static readonly Argument<string?> s_modelOrFirst = new("MODEL") { Description = "Model to load (default: the pool's first)", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<TimeSpan?> s_deadline = DurationOption.Create("--deadline", "Time running requests have before they are cut; without it serving.drain_deadline_ms");
    private static readonly Option<bool> s_engine = new("--engine") { Description = "Delete the fetched engine, too" };
    private static readonly Option<string[]> s_models = new("--model") { Description = "Delete this fetched model; may be given more than once" };
    private static readonly Option<bool> s_cache = new("--cache") { Description = "Delete all fetched engines of the pool's kind" };
    private static readonly Option<bool> s_now = new("--now") { Description = "Do not wait for running requests; refused while there are any" };
    private static readonly Option<bool> s_force = new("--force") { Description = "With --now: cut running requests" };

    public static Command Create()
    {
        var pools = Verb.Create("pools", "Show the pools, or change what they run", ["loom pools", "loom pools --json", "loom pools --url http://queen-rbee:8080", "loom pools reload chat coder"], ListAsync);
        pools.Options.Add(RunningApi.Url);
        pools.Subcommands.Add(Operation("drain", "Send a pool no new work and wait for what runs", ["loom pools drain chat --deadline 30s"], [s_id], [s_deadline],
            parse => new JsonObject { ["deadline_ms"] = Milliseconds(parse) }));
        pools.Subcommands.Add(Operation("undrain", "Open a drained pool again", ["loom pools undrain chat"], [s_id], [], _ => []));
        pools.Subcommands.Add(Operation("preload", "Load a pool that is stopped", ["loom pools preload chat", "loom pools preload chat coder"], [s_id, s_modelOrFirst], [],
            parse => new JsonObject { ["model_ref"] = parse.GetValue(s_modelOrFirst) }));
        pools.Subcommands.Add(Operation("reload", "Give a pool another model; the old one serves until the new one does, or comes back", ["loom pools reload chat coder"],
            [s_id, s_model], [s_deadline], parse => new JsonObject { ["new_model_ref"] = parse.GetValue(s_model), ["deadline_ms"] = Milliseconds(parse) }));
        pools.Subcommands.Add(Operation("purge", "Stop a pool and delete what was fetched for it", ["loom pools purge chat", "loom pools purge chat --model coder --engine"],
            [s_id], [s_engine, s_models, s_cache, s_now, s_force], parse => new JsonObject
            {
                ["purge_engine"] = parse.GetValue(s_engine),
                ["purge_models"] = new JsonArray([.. (parse.GetValue(s_models) ?? []).Select(m => (JsonNode)JsonValue.Create(m))]),
                ["delete_cache_dirs"] = parse.GetValue(s_cache),
                ["drain_first"] = !parse.GetValue(s_now),
                ["force"] = parse.GetValue(s_force),
            }));
        return pools;
    }

    private static Command Operation(string word, string description, string[] examples, Argument[] arguments, Option[] options, Func<ParseResult, JsonObject> body)
    {
        var command = Verb.Create(word, description, examples, (context, parse, stop) => OperateAsync(context, parse, word, body(parse), stop));
        foreach (var argument in arguments)
        {
            command.Arguments.Add(argument);
        }

        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static long? Milliseconds(ParseResult parse) => parse.GetValue(s_deadline) is { } time ? (long)time.TotalMilliseconds : null;

    private static async Task<int> ListAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        using var client = new ManagementClient(await RunningApi.FindAsync(context, parse.GetValue(RunningApi.Url), stop).ConfigureAwait(false));
        var answer = await client.GetAsync("/v2/pools", stop).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(answer.GetRawText());
            return ExitCode.Ok;
        }

        List<string[]> rows = [["POOL", "NODE", "REPLICA", "STATE", "MODEL", "SLOTS", "WHY"]];
        foreach (var pool in answer.GetProperty("pools").EnumerateArray())
        {
            rows.AddRange(pool.GetProperty("replicas").EnumerateArray().Select(r => new[]
            {
                Text(pool, "pool_id"), Text(r, "node_id"), Text(r, "replica_id"), Text(r, "state"), Text(r, "model"), $"{Text(r, "slots_free")}/{Text(r, "slots_total")} free",
                Text(r, "last_error"),
            }));
        }

        context.Terminal.Table(rows);
        return ExitCode.Ok;
    }

    private static async Task<int> OperateAsync(VerbContext context, ParseResult parse, string word, JsonObject body, CancellationToken stop)
    {
        var pool = parse.GetValue(s_id)!;
        using var client = new ManagementClient(await RunningApi.FindAsync(context, parse.GetValue(RunningApi.Url), stop).ConfigureAwait(false));
        foreach (var name in body.Where(p => p.Value is null).Select(p => p.Key).ToList())
        {
            body.Remove(name);
        }

        using var board = context.Terminal.Json ? null : new TaskBoard(context.Terminal, context.Time);
        OperationStatus? last = null;
        var bytes = System.Text.Encoding.UTF8.GetBytes(body.ToJsonString());
        await foreach (var status in client.OperateAsync($"/v2/pools/{Uri.EscapeDataString(pool)}/{word}", bytes, stop).ConfigureAwait(false))
        {
            last = status;
            Show(context, board, status);
        }

        board?.Dispose();
        return last!.Status switch
        {
            OperationState.Succeeded => Done(context, $"{word} of pool {pool}: done"),
            OperationState.RolledBack => throw new CliError(ExitCode.Failed, "ROLLED_BACK", $"{word} of pool {pool} was rolled back: {last.Error}"),
            _ => throw new CliError(ExitCode.Failed, "FAILED", $"{word} of pool {pool} failed: {last.Error}"),
        };
    }

    private static int Done(VerbContext context, string text)
    {
        context.Terminal.Note(text);
        return ExitCode.Ok;
    }

    private static void Show(VerbContext context, TaskBoard? board, OperationStatus status)
    {
        if (board is null)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(status, NodeJson.Default.OperationStatus));
            context.Terminal.Out.Flush();
            return;
        }

        foreach (var step in status.Steps)
        {
            var mark = step.Status switch
            {
                "completed" => TaskMark.Done,
                "failed" => TaskMark.Failed,
                "running" => TaskMark.Running,
                _ => TaskMark.Waiting,
            };
            board.Set(step.Group is { } group ? $"{group} {step.Step}" : step.Step, mark, step.Human ?? step.Phase ?? "", mark == TaskMark.Done ? null : step.Pct);
        }
    }

    private static string Text(JsonElement json, string name) => !json.TryGetProperty(name, out var value)
        ? "-"
        : value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Null => "-",
            _ => value.GetRawText(),
        };
}
