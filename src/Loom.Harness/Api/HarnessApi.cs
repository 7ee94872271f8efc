using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Components;
using Loom.Core.Web;
using Loom.Harness.Alerts;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Api;

/// <summary>Something a running system can be asked.</summary>
/// <param name="Method">Method.</param>
/// <param name="Path">Below the system's own path.</param>
/// <param name="Run">Answers.</param>
internal sealed record HarnessAction(string Method, string Path, Func<HarnessApi, ApiCall, Task> Run);

/// <summary>The API of one running system: what it is doing, and the few things that can be asked of it, which are audited.</summary>
internal sealed class HarnessApi : IAsyncDisposable
{
    private readonly SystemExecutionHarness _harness;
    private readonly Action _drain;
    private readonly Audit _audit;
    private readonly SemaphoreSlim _oneRetry = new(1, 1);

    /// <param name="harness">The system.</param>
    /// <param name="drain">Asks the run to drain.</param>
    /// <param name="log">Told of what cannot be audited.</param>
    public HarnessApi(SystemExecutionHarness harness, Action drain, ILogger log)
    {
        (_harness, _drain) = (harness, drain);
        var plan = harness.Assembly.Plan;
        _audit = new Audit(Path.Combine(plan.Directory, ".loom", "harness", plan.Name), harness.Assembly.Materials.Time, log);
    }

    /// <summary>All of them.</summary>
    public static IReadOnlyList<HarnessAction> Actions { get; } =
    [
        new("GET", "/health", static (api, call) => call.WriteAsync(200, api, static (w, a) => a.WriteHealth(w))),
        new("GET", "/components", static (api, call) => WriteListAsync(call, "components", api.Now().Components, SystemJson.Component)),
        new("GET", "/components/{component}", static (api, call) => api.WriteComponentAsync(call)),
        new("GET", "/streams", static (api, call) => WriteListAsync(call, "streams", api.Now().Streams, SystemJson.Stream)),
        new("GET", "/capabilities", static (api, call) => WriteListAsync(call, "capabilities", api.Hosts, api.WriteCapabilities)),
        new("GET", "/checkpoints", static (api, call) => api.WriteCheckpointsAsync(call)),
        new("GET", "/alerts", static (api, call) => call.WriteAsync(200, api, static (w, a) => a.WriteAlerts(w))),
        new("GET", "/errors", static (api, call) => api.WriteErrorsAsync(call)),
        new("GET", "/instances", static (api, call) => call.WriteAsync(200, api, static (w, a) => a.WriteInstances(w))),
        new("GET", "/lock", static (api, call) => call.WriteAsync(200, api, static (w, a) => a.WriteLock(w))),
        new("GET", "/graph", static (api, call) => api.WriteGraphAsync(call)),
        new("GET", "/tap", static (api, call) => TapAnswer.WriteAsync(api._harness.Assembly, call)),
        new("POST", "/drain", static (api, call) => api.DrainAsync(call)),
        new("POST", "/checkpoint", static (api, call) => api.TakeCheckpointAsync(call)),
        new("POST", "/dead-letters/retry", static (api, call) => api.RetryAsync(call)),
        new("POST", "/components/{component}/pause", static (api, call) => api.PauseAsync(call, hold: true)),
        new("POST", "/components/{component}/resume", static (api, call) => api.PauseAsync(call, hold: false)),
    ];

    /// <summary>Whether every component is set up and runs.</summary>
    public bool IsRunning { get; set; }

    /// <summary>Address of this process; null while none is open.</summary>
    public string? Address { get; set; }

    private IReadOnlyList<ComponentHost> Hosts => _harness.Assembly.Run.Hosts;

    /// <summary>Answers, and audits what is no mere look.</summary>
    public async Task RunAsync(HarnessAction action, ApiCall call)
    {
        if (action.Method == "GET")
        {
            await action.Run(this, call).ConfigureAwait(false);
            return;
        }

        try
        {
            await action.Run(this, call).ConfigureAwait(false);
        }
        catch (ProblemException e)
        {
            await _audit.WriteAsync(call, $"refused: {e.Problem.Message}").ConfigureAwait(false);
            throw;
        }
        catch (OperationCanceledException) when (call.Gone.IsCancellationRequested)
        {
            await _audit.WriteAsync(call, "abandoned: whoever asked did not wait for the answer").ConfigureAwait(false);
            throw;
        }
        catch (Exception e)
        {
            await _audit.WriteAsync(call, $"failed: {_harness.Clean(e.Message)}").ConfigureAwait(false);
            throw;
        }

        await _audit.WriteAsync(call, "done").ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _audit.DisposeAsync().ConfigureAwait(false);
        _oneRetry.Dispose();
    }

    /// <summary>How well the system is.</summary>
    public HealthVerdict Verdict()
    {
        var assembly = _harness.Assembly;
        var time = assembly.Materials.Time;
        return SystemHealth.Judge(Now(), new HealthFacts(
            IsRunning,
            assembly.State?.Fallback,
            _harness.DeadLetters.Trouble,
            [.. assembly.Links.Where(l => l.Value.Breaker is { State: not Capabilities.BreakerState.Closed }).Select(l => l.Key)],
            [.. Hosts.Where(h => h.LastRestart is { } at && time.GetElapsedTime(at) < SystemHealth.RestartCounts).Select(h => h.Plan.Name)])
        {
            Alerts = [.. assembly.Monitor.Alerts.Status.Where(a => a.State == AlertState.Firing).Select(a => a.Rule.Name)],
        });
    }

    /// <summary>Health with the facts a person asks for first.</summary>
    public void WriteHealth(Utf8JsonWriter w)
    {
        var plan = _harness.Assembly.Plan;
        var verdict = Verdict();
        var now = Now();
        w.WriteStartObject();
        w.WriteString("system", plan.Name);
        w.WriteString("version", plan.Version);
        w.WriteString("health", SystemMetrics.Word(verdict.State));
        w.WriteBoolean("ready", verdict.Ready);
        w.WriteBoolean("unlocked", _harness.Unlocked);
        SystemJson.List(w, "reasons", verdict.Reasons, static (writer, r) => writer.WriteStringValue(r));
        SystemJson.List(w, "alerts", _harness.Assembly.Monitor.Alerts.Status.Where(a => a.State == AlertState.Firing), static (writer, a) => writer.WriteStringValue(a.Rule.Name));
        w.WriteString("state", _harness.Assembly.State?.Store.Adapter.Describe());
        w.WriteString("bottleneck", now.Bottleneck);
        w.WriteNumber("dead_letters", _harness.DeadLetters.Taken);
        w.WriteString("checkpoint", now.Checkpoints?.Last?.Id.ToString());
        w.WriteEndObject();
    }

    private RunSnapshot Now() => RunSnapshot.Of(_harness.Assembly);

    private ComponentHost HostOf(string name) => Hosts.FirstOrDefault(h => h.Plan.Name == name)
        ?? throw NotFound($"there is no component \"{name}\"; there are: {string.Join(", ", Hosts.Select(h => h.Plan.Name))}");

    private Task WriteComponentAsync(ApiCall call)
    {
        var name = HostOf(call["component"]).Plan.Name;
        return call.WriteAsync(200, Now().Components.Single(c => c.Name == name), SystemJson.Component);
    }

    private void WriteCapabilities(Utf8JsonWriter w, ComponentHost host) => SystemJson.Capabilities(w, host, _harness.Assembly.Links[host.Plan.Name]);

    private void WriteAlerts(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        SystemJson.List(w, "alerts", _harness.Assembly.Monitor.Alerts.Status, SystemJson.Alert);
        SystemJson.List(w, "webhooks", _harness.Webhooks.Select(h => h.Status), SystemJson.Webhook);
        w.WriteEndObject();
    }

    private Task WriteErrorsAsync(ApiCall call)
    {
        var component = call.Query("component");
        var limit = Limit(call);
        var errors = _harness.Errors.Recent.Where(e => component is null || e.Component == component).Take(limit);
        return call.WriteAsync(200, (errors, _harness.Errors.Count), static (w, e) =>
        {
            w.WriteStartObject();
            w.WriteNumber("total", e.Count);
            SystemJson.List(w, "errors", e.errors, static (writer, record) => JsonSerializer.Serialize(writer, record, ErrorJson.Default.ErrorRecord));
            w.WriteEndObject();
        });
    }

    private static int Limit(ApiCall call) => call.Query("limit") switch
    {
        null => ConsistentErrorHandler.MostRecent,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is > 0 and <= ConsistentErrorHandler.MostRecent => limit,
        var other => throw new ProblemException(Problem.Invalid("limit", $"limit is a number from 1 to {ConsistentErrorHandler.MostRecent}, not \"{other}\"")),
    };

    // One process runs a system; several need a transport.
    private void WriteInstances(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        w.WriteStartArray("instances");
        w.WriteStartObject();
        w.WriteString("instance", _harness.Instance);
        w.WriteNumber("pid", Environment.ProcessId);
        w.WriteString("address", Address);
        w.WriteString("lock_hash", _harness.Lock?.LockHash);
        w.WriteEndObject();
        w.WriteEndArray();
        w.WriteEndObject();
    }

    private void WriteLock(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        w.WriteBoolean("unlocked", _harness.Unlocked);
        w.WriteString("lock_hash", _harness.Lock?.LockHash);
        w.WriteString("graph", _harness.Lock?.Graph);
        w.WriteStartObject("inputs");
        foreach (var (path, hash) in _harness.Lock?.Inputs ?? new Dictionary<string, string>())
        {
            w.WriteString(path, hash);
        }

        w.WriteEndObject();
        w.WriteStartObject("components");
        foreach (var (name, component) in _harness.Lock?.Components ?? new Dictionary<string, LockedComponent>())
        {
            w.WriteStartObject(name);
            w.WriteString("implementation", component.Implementation);
            w.WriteString("config", component.Config);
            w.WriteEndObject();
        }

        w.WriteEndObject();
        w.WriteEndObject();
    }

    private Task DrainAsync(ApiCall call)
    {
        _drain();
        return WriteStatusAsync(call, 202, "draining");
    }

    private Task PauseAsync(ApiCall call, bool hold)
    {
        var host = HostOf(call["component"]);
        if (host.State is not (ComponentState.Running or ComponentState.Paused))
        {
            throw Conflict($"{host.Plan.Name} is {SystemMetrics.Word(host.State)}, so it can neither be paused nor resumed");
        }

        if (!hold && host.State != ComponentState.Paused)
        {
            throw Conflict($"{host.Plan.Name} is not paused");
        }

        host.Loop.Controls.Apply(new ControlOperation { Op = hold ? ControlOperation.Pause : ControlOperation.Resume }, "the API");

        return WriteStatusAsync(call, 200, hold ? "paused" : "running");
    }

    private async Task TakeCheckpointAsync(ApiCall call)
    {
        var checkpoints = _harness.Assembly.Checkpoints ?? throw Conflict("nothing in this system can be resumed, so there is nothing to checkpoint");
        var info = await checkpoints.TakeAsync(call.Gone).ConfigureAwait(false) ?? throw Conflict($"the checkpoint was abandoned: {checkpoints.Snapshot.LastError}");
        await WriteStatusAsync(call, 200, info.Id.ToString()).ConfigureAwait(false);
    }

    private async Task RetryAsync(ApiCall call)
    {
        var asked = await call.ReadOrAsync(RetryJson.Default.RetryRequest, new RetryRequest(null, null)).ConfigureAwait(false);
        var host = asked.Component is { } name ? HostOf(name) : null;
        if (!IsRunning)
        {
            throw Conflict("the system is not running yet, or no longer; its letters wait");
        }

        if (host is { State: not ComponentState.Running })
        {
            throw Conflict($"{host.Plan.Name} is {SystemMetrics.Word(host.State)}, so it takes no letters; they wait");
        }

        if (!await _oneRetry.WaitAsync(0, call.Gone).ConfigureAwait(false))
        {
            throw Conflict("letters are being sent again already; ask once that is done");
        }

        try
        {
            var retry = new LetterRetry(_harness.Assembly);
            var report = await _harness.DeadLetters.RetryAsync(asked.Component, asked.Ids is { Count: > 0 } ids ? ids.ToHashSet(StringComparer.Ordinal) : null, retry.SendAsync, call.Gone).ConfigureAwait(false);
            call.Gone.ThrowIfCancellationRequested(); // some letters were not begun for that reason
            await call.WriteAsync(200, (report.Sent, report.Refused, retry.NotTried), static (w, r) =>
            {
                w.WriteStartObject();
                w.WriteNumber("sent", r.Sent);
                w.WriteNumber("kept", r.Refused);
                w.WriteNumber("not_tried", r.NotTried);
                w.WriteEndObject();
            }).ConfigureAwait(false);
        }
        finally
        {
            _oneRetry.Release();
        }
    }

    private async Task WriteCheckpointsAsync(ApiCall call)
    {
        var all = _harness.Assembly.State is { } state ? await state.Store.ListAsync(call.Gone).ConfigureAwait(false) : [];
        await call.WriteAsync(200, (All: all, Snapshot: _harness.Assembly.Checkpoints?.Snapshot), static (w, s) =>
        {
            w.WriteStartObject();
            w.WriteNumber("taken", s.Snapshot?.Taken ?? 0);
            w.WriteNumber("failed", s.Snapshot?.Failed ?? 0);
            w.WriteString("last_error", s.Snapshot?.LastError);
            SystemJson.List(w, "checkpoints", s.All, SystemJson.Checkpoint);
            w.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private async Task WriteGraphAsync(ApiCall call)
    {
        var plan = _harness.Assembly.Plan;
        var live = call.Query("live") is not null && call.QueryFlag("live") ? await LiveAsync(call.Gone).ConfigureAwait(false) : null;
        var (type, text) = call.Query("format") switch
        {
            null or "json" => ("application/json", GraphDocument.Of(plan, live).ToJsonString()),
            "mermaid" => ("text/plain; charset=utf-8", GraphMermaid.Write(plan, live)),
            "svg" => ("image/svg+xml", GraphSvg.Write(plan, live)),
            var other => throw new ProblemException(new Problem(ProblemCode.InvalidParams, $"format is json, mermaid or svg, not \"{other}\"", "format")),
        };
        call.Http.Response.ContentType = type;
        await call.Http.Response.WriteAsync(text, call.Gone).ConfigureAwait(false);
    }

    // Two looks, a second apart: what was read from each stream between them is its rate.
    private async Task<LiveGraph> LiveAsync(CancellationToken ct)
    {
        var time = _harness.Assembly.Materials.Time;
        var (before, start) = (Now().Streams, time.GetTimestamp());
        await Task.Delay(TimeSpan.FromSeconds(1), time, ct).ConfigureAwait(false);
        var (now, seconds) = (Now(), time.GetElapsedTime(start).TotalSeconds);
        return new LiveGraph(
            now.Streams.Zip(before).ToDictionary(s => s.First.Name, s => new LiveStream((s.First.Out - s.Second.Out) / seconds, s.First.Depth, s.First.Capacity), StringComparer.Ordinal),
            now.Bottleneck);
    }

    private static Task WriteListAsync<T>(ApiCall call, string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write) =>
        call.WriteAsync(200, (name, items, write), static (w, list) =>
        {
            w.WriteStartObject();
            SystemJson.List(w, list.name, list.items, list.write);
            w.WriteEndObject();
        });

    private static Task WriteStatusAsync(ApiCall call, int status, string text) => call.WriteAsync(status, text, static (w, t) =>
    {
        w.WriteStartObject();
        w.WriteString("status", t);
        w.WriteEndObject();
    });

    private static ProblemException NotFound(string message) => new(new Problem(ProblemCode.NotFound, message));

    private static ProblemException Conflict(string message) => new(new Problem(ProblemCode.Conflict, message));
}

/// <summary>Which letters are to be sent again.</summary>
/// <param name="Ids">Null or empty: all.</param>
/// <param name="Component">Only of this one; null = of all.</param>
internal sealed record RetryRequest(IReadOnlyList<string>? Ids, string? Component);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RetryRequest))]
internal sealed partial class RetryJson : JsonSerializerContext;
