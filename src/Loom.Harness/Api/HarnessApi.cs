using System.Text;
using System.Text.Json;
using Loom.Core.Web;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Loom.Harness.Streams;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Harness.Api;

/// <summary>The API of one running system: what it is doing, and the few things that can be asked of it. Everything but liveness needs a token.</summary>
/// <param name="harness">The system.</param>
/// <param name="drain">Asks the run to drain.</param>
internal sealed class HarnessApi(SystemExecutionHarness harness, Action drain)
{
    private const string Base = "/v2/harness/systems/{system}";

    /// <summary>Whether every component is set up and runs.</summary>
    public bool IsRunning { get; set; }

    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/health/live", Scopes.None, call => WriteStatusAsync(call, 200, "live")),
        new("GET", "/health/ready", Scopes.None, call => Verdict().Ready ? WriteStatusAsync(call, 200, "ready") : WriteStatusAsync(call, 503, "not ready")),
        Get("/health", call => call.WriteAsync(200, Verdict(), WriteHealth)),
        Get("/components", call => call.WriteAsync(200, Now(), static (w, s) => WriteList(w, "components", s.Components, WriteComponent))),
        Get("/components/{component}", WriteComponentAsync),
        Get("/streams", call => call.WriteAsync(200, Now(), static (w, s) => WriteList(w, "streams", s.Streams, WriteStream))),
        Get("/capabilities", call => call.WriteAsync(200, harness.Assembly, WriteCapabilities)),
        Get("/checkpoints", WriteCheckpointsAsync),
        Get("/graph", WriteGraphAsync),
        Get("/tap", TapAsync),
        Post("/drain", call =>
        {
            drain();
            return WriteStatusAsync(call, 202, "draining");
        }),
        Post("/checkpoint", TakeCheckpointAsync),
        Post("/components/{component}/pause", call => PauseAsync(call, hold: true)),
        Post("/components/{component}/resume", call => PauseAsync(call, hold: false)),
    ];

    private RunSnapshot Now() => RunSnapshot.Of(harness.Assembly);

    private HealthVerdict Verdict()
    {
        var run = harness.Assembly.Run;
        var time = harness.Assembly.Materials.Time;
        return SystemHealth.Judge(Now(), new HealthFacts(
            IsRunning,
            harness.Assembly.State?.Fallback,
            harness.DeadLetters.Trouble,
            [.. harness.Assembly.Links.Where(l => l.Value.Breaker is { State: not Capabilities.BreakerState.Closed }).Select(l => l.Key)],
            [.. run.Hosts.Where(h => h.LastRestart is { } at && time.GetElapsedTime(at) < SystemHealth.RestartCounts).Select(h => h.Plan.Name)])
        {
            Alerts = [.. harness.Assembly.Monitor.Alerts.Status.Where(a => a.State == Alerts.AlertState.Firing).Select(a => a.Rule.Name)],
        });
    }

    private ApiRoute Get(string path, Func<ApiCall, Task> run) => new("GET", Base + path, Scopes.Manage, call => OwnAsync(call, run));

    private ApiRoute Post(string path, Func<ApiCall, Task> run) => new("POST", Base + path, Scopes.Manage, call => OwnAsync(call, run));

    private Task OwnAsync(ApiCall call, Func<ApiCall, Task> run) => call["system"] == harness.Assembly.Plan.Name
        ? run(call)
        : throw NotFound($"no system \"{call["system"]}\" runs here; this is \"{harness.Assembly.Plan.Name}\"");

    private ComponentHost HostOf(ApiCall call) => harness.Assembly.Run.Hosts.FirstOrDefault(h => h.Plan.Name == call["component"])
        ?? throw NotFound($"there is no component \"{call["component"]}\"; there are: {string.Join(", ", harness.Assembly.Run.Hosts.Select(h => h.Plan.Name))}");

    private Task WriteComponentAsync(ApiCall call)
    {
        var name = HostOf(call).Plan.Name;
        return call.WriteAsync(200, Now().Components.Single(c => c.Name == name), static (w, c) => WriteComponent(w, c));
    }

    private Task PauseAsync(ApiCall call, bool hold)
    {
        var host = HostOf(call);
        if (host.State is not (ComponentState.Running or ComponentState.Paused))
        {
            throw Conflict($"{host.Plan.Name} is {Telemetry.SystemMetrics.Word(host.State)}, so it can neither be paused nor resumed");
        }

        if (hold)
        {
            host.Loop.Pause.Hold("asked to pause");
            host.Loop.Ask(Attention.Pause);
        }
        else if (!host.Loop.Pause.Release())
        {
            throw Conflict($"{host.Plan.Name} is not paused");
        }

        return WriteStatusAsync(call, 200, hold ? "paused" : "running");
    }

    private async Task TakeCheckpointAsync(ApiCall call)
    {
        var checkpoints = harness.Assembly.Checkpoints ?? throw Conflict("nothing in this system can be resumed, so there is nothing to checkpoint");
        var info = await checkpoints.TakeAsync(call.Gone).ConfigureAwait(false) ?? throw Conflict($"the checkpoint was abandoned: {checkpoints.Snapshot.LastError}");
        await WriteStatusAsync(call, 200, info.Id.ToString()).ConfigureAwait(false);
    }

    private async Task WriteCheckpointsAsync(ApiCall call)
    {
        var all = harness.Assembly.State is { } state ? await state.Store.ListAsync(call.Gone).ConfigureAwait(false) : [];
        await call.WriteAsync(200, (All: all, Snapshot: harness.Assembly.Checkpoints?.Snapshot), static (w, s) =>
        {
            w.WriteStartObject();
            w.WriteNumber("taken", s.Snapshot?.Taken ?? 0);
            w.WriteNumber("failed", s.Snapshot?.Failed ?? 0);
            w.WriteString("last_error", s.Snapshot?.LastError);
            w.WriteStartArray("checkpoints");
            foreach (var info in s.All)
            {
                w.WriteStartObject();
                w.WriteString("id", info.Id.ToString());
                w.WriteString("status", JsonNamingPolicy.SnakeCaseLower.ConvertName(info.Status.ToString()));
                if (info.Time is { } time)
                {
                    w.WriteString("time", time);
                }

                w.WriteNumber("bytes", info.Bytes);
                w.WriteNumber("components", info.Components);
                w.WriteString("reason", info.Reason);
                w.WriteEndObject();
            }

            w.WriteEndArray();
            w.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private async Task WriteGraphAsync(ApiCall call)
    {
        var plan = harness.Assembly.Plan;
        var (type, text) = call.Query("format") switch
        {
            null or "json" => ("application/json", GraphDocument.Of(plan).ToJsonString()),
            "mermaid" => ("text/plain; charset=utf-8", GraphMermaid.Write(plan)),
            "svg" => ("image/svg+xml", GraphSvg.Write(plan)),
            var other => throw new ProblemException(new Problem(ProblemCode.InvalidParams, $"format is json, mermaid or svg, not \"{other}\"", "format")),
        };
        call.Http.Response.ContentType = type;
        await call.Http.Response.WriteAsync(text, call.Gone).ConfigureAwait(false);
    }

    private async Task TapAsync(ApiCall call)
    {
        var name = call.Query("stream") ?? "";
        var stream = harness.Assembly.Run.Streams.FirstOrDefault(s => s.Plan.Name == name || $"{s.Plan.FromComponent}.{s.Plan.FromPort}" == name)
            ?? throw NotFound($"there is no stream \"{name}\"; there are: {string.Join(", ", harness.Assembly.Run.Streams.Select(s => s.Plan.Name))}");
        Expression? filter;
        try
        {
            filter = call.Query("filter") is { Length: > 0 } text ? Expression.Compile(text) : null;
        }
        catch (ExpressionException e)
        {
            throw new ProblemException(new Problem(ProblemCode.InvalidParams, $"filter: column {e.Column}: {e.Message}"));
        }

        var sample = int.TryParse(call.Query("sample"), out var every) && every > 0 ? every : 1;
        var secrets = SecretFields.Of(harness.Assembly.Plan, stream.Plan);
        using var tap = stream.Tap(sample);
        call.Http.Response.ContentType = "text/event-stream";
        var body = call.Http.Response.Body;
        await call.Http.Response.StartAsync(call.Gone).ConfigureAwait(false);
        // Whoever asks is told at once that the tap is on, not with the first event; a comment, which readers of events pass over.
        await body.WriteAsync(": on\n\n"u8.ToArray(), call.Gone).ConfigureAwait(false);
        await body.FlushAsync(call.Gone).ConfigureAwait(false);
        var dropped = 0L;
        await foreach (var e in tap.ReadAllAsync(call.Gone).ConfigureAwait(false))
        {
            if (filter is not null && !Matches(filter, e))
            {
                continue;
            }

            if (tap.Dropped > dropped)
            {
                dropped = tap.Dropped;
                await body.WriteAsync(Encoding.UTF8.GetBytes($"event: dropped\ndata: {{\"dropped\":{dropped}}}\n\n"), call.Gone).ConfigureAwait(false);
            }

            await body.WriteAsync(Encoding.UTF8.GetBytes($"event: item\ndata: {TapText.Of(e, secrets)}\n\n"), call.Gone).ConfigureAwait(false);
            await body.FlushAsync(call.Gone).ConfigureAwait(false);
        }
    }

    private static bool Matches(Expression filter, in Loom.Components.Event<JsonElement> e)
    {
        try
        {
            return filter.Test(e);
        }
        catch (Loom.Components.ItemException)
        {
            // A field that an event lacks does not match.
            return false;
        }
    }

    private static Task WriteStatusAsync(ApiCall call, int status, string text) => call.WriteAsync(status, text, static (w, t) =>
    {
        w.WriteStartObject();
        w.WriteString("status", t);
        w.WriteEndObject();
    });

    private void WriteHealth(Utf8JsonWriter w, HealthVerdict verdict)
    {
        var plan = harness.Assembly.Plan;
        w.WriteStartObject();
        w.WriteString("system", plan.Name);
        w.WriteString("version", plan.Version);
        w.WriteString("health", JsonNamingPolicy.SnakeCaseLower.ConvertName(verdict.State.ToString()));
        w.WriteBoolean("ready", verdict.Ready);
        w.WriteBoolean("unlocked", harness.Unlocked);
        w.WriteStartArray("reasons");
        foreach (var reason in verdict.Reasons)
        {
            w.WriteStringValue(reason);
        }

        w.WriteEndArray();
        w.WriteString("state", harness.Assembly.State?.Store.Adapter.Describe());
        var now = Now();
        w.WriteString("bottleneck", now.Bottleneck);
        w.WriteNumber("dead_letters", harness.DeadLetters.Taken);
        w.WriteString("checkpoint", now.Checkpoints?.Last?.Id.ToString());
        w.WriteEndObject();
    }

    private static void WriteList<T>(Utf8JsonWriter w, string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        w.WriteStartObject();
        w.WriteStartArray(name);
        foreach (var item in items)
        {
            write(w, item);
        }

        w.WriteEndArray();
        w.WriteEndObject();
    }

    private static void WriteComponent(Utf8JsonWriter w, ComponentSnapshot c)
    {
        w.WriteStartObject();
        w.WriteString("name", c.Name);
        w.WriteString("state", Telemetry.SystemMetrics.Word(c.State));
        w.WriteString("reason", c.Reason);
        w.WriteNumber("taken", c.Taken);
        w.WriteNumber("done", c.Done);
        w.WriteNumber("filtered", c.Filtered);
        w.WriteNumber("dead_lettered", c.Failed);
        w.WriteNumber("in_hand", c.InHand);
        w.WriteNumber("emitted", c.Emitted);
        w.WriteNumber("unbound", c.Unbound);
        w.WriteNumber("restarts", c.Restarts);
        w.WriteEndObject();
    }

    private static void WriteStream(Utf8JsonWriter w, StreamSnapshot s)
    {
        w.WriteStartObject();
        w.WriteString("name", s.Name);
        w.WriteString("from", s.From);
        w.WriteString("to", s.To);
        w.WriteNumber("depth", s.Depth);
        w.WriteNumber("capacity", s.Capacity);
        w.WriteNumber("bytes", s.Bytes);
        w.WriteNumber("in", s.In);
        w.WriteNumber("out", s.Out);
        w.WriteNumber("dropped", s.Dropped);
        w.WriteNumber("oldest_age_ms", (long)s.OldestAge.TotalMilliseconds);
        w.WriteNumber("last_progress_ms", (long)s.LastProgress.TotalMilliseconds);
        w.WriteNumber("blocked_ms", (long)s.Blocked.TotalMilliseconds);
        w.WriteNumber("starved_ms", (long)s.Starved.TotalMilliseconds);
        w.WriteBoolean("ended", s.Ended);
        w.WriteEndObject();
    }

    private static void WriteCapabilities(Utf8JsonWriter w, SystemAssembly assembly)
    {
        w.WriteStartObject();
        w.WriteStartArray("capabilities");
        foreach (var (component, links) in assembly.Links)
        {
            foreach (var (name, counters) in links.Counters)
            {
                w.WriteStartObject();
                w.WriteString("component", component);
                w.WriteString("capability", name);
                w.WriteNumber("calls", counters.Calls);
                w.WriteNumber("failures", counters.Failures);
                w.WriteNumber("waits", counters.Waits);
                if (links.Breaker is { } breaker && name == Architecture.Chains.StandardCapability.CircuitBreaker.Name)
                {
                    w.WriteString("breaker", JsonNamingPolicy.SnakeCaseLower.ConvertName(breaker.State.ToString()));
                }

                w.WriteNumber("p50_ms", counters.Seconds.Quantile(0.5).TotalMilliseconds);
                w.WriteNumber("p95_ms", counters.Seconds.Quantile(0.95).TotalMilliseconds);
                w.WriteNumber("p99_ms", counters.Seconds.Quantile(0.99).TotalMilliseconds);
                w.WriteEndObject();
            }
        }

        w.WriteEndArray();
        w.WriteEndObject();
    }

    private static ProblemException NotFound(string message) => new(new Problem(ProblemCode.NotFound, message));

    private static ProblemException Conflict(string message) => new(new Problem(ProblemCode.Conflict, message));
}
