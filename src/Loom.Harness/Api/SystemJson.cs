using System.Text.Json;
using Loom.Harness.Alerts;
using Loom.Harness.Capabilities;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Api;

/// <summary>How what is seen of a system is written as JSON: by the API, and by <c>loom harness run --json</c> at the end.</summary>
internal static class SystemJson
{
    public static void List<T>(Utf8JsonWriter w, string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        w.WriteStartArray(name);
        foreach (var item in items)
        {
            write(w, item);
        }

        w.WriteEndArray();
    }

    /// <summary>Components and streams of a snapshot, as two members.</summary>
    public static void Snapshot(Utf8JsonWriter w, RunSnapshot snapshot)
    {
        List(w, "components", snapshot.Components, Component);
        List(w, "streams", snapshot.Streams, Stream);
    }

    public static void Component(Utf8JsonWriter w, ComponentSnapshot c)
    {
        w.WriteStartObject();
        w.WriteString("name", c.Name);
        w.WriteString("state", SystemMetrics.Word(c.State));
        w.WriteString("reason", c.Reason);
        w.WriteNumber("taken", c.Taken);
        w.WriteNumber("done", c.Done);
        w.WriteNumber("filtered", c.Filtered);
        w.WriteNumber("dead_lettered", c.Failed);
        w.WriteNumber("in_hand", c.InHand);
        w.WriteNumber("lost", c.Lost);
        w.WriteNumber("emitted", c.Emitted);
        w.WriteNumber("unbound", c.Unbound);
        w.WriteNumber("superseded", c.Superseded);
        w.WriteNumber("restarts", c.Restarts);
        w.WriteEndObject();
    }

    public static void Stream(Utf8JsonWriter w, StreamSnapshot s)
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
        w.WriteNumber("spilled", s.Spilled);
        w.WriteString("trouble", s.Trouble);
        w.WriteNumber("oldest_age_ms", (long)s.OldestAge.TotalMilliseconds);
        w.WriteNumber("last_progress_ms", (long)s.LastProgress.TotalMilliseconds);
        w.WriteNumber("blocked_ms", (long)s.Blocked.TotalMilliseconds);
        w.WriteNumber("starved_ms", (long)s.Starved.TotalMilliseconds);
        w.WriteBoolean("ended", s.Ended);
        w.WriteEndObject();
    }

    /// <summary>Capabilities of one component.</summary>
    public static void Capabilities(Utf8JsonWriter w, ComponentHost host, LinkFactory links)
    {
        foreach (var counts in CapabilityCounts.Of(links, host.Loop.Counters))
        {
            w.WriteStartObject();
            w.WriteString("component", host.Plan.Name);
            w.WriteString("capability", counts.Capability);
            w.WriteNumber("calls", counts.Calls);
            w.WriteNumber("failures", counts.Failures);
            w.WriteNumber("waits", counts.Waits);
            if (links.Breaker is { } breaker && counts.Capability == Architecture.Chains.StandardCapability.CircuitBreaker.Name)
            {
                w.WriteString("breaker", SystemMetrics.Word(breaker.State));
            }

            w.WriteNumber("p50_ms", counts.Seconds.Quantile(0.5).TotalMilliseconds);
            w.WriteNumber("p95_ms", counts.Seconds.Quantile(0.95).TotalMilliseconds);
            w.WriteNumber("p99_ms", counts.Seconds.Quantile(0.99).TotalMilliseconds);
            w.WriteEndObject();
        }
    }

    public static void Alert(Utf8JsonWriter w, AlertStatus alert)
    {
        w.WriteStartObject();
        w.WriteString("name", alert.Rule.Name);
        w.WriteString("state", SystemMetrics.Word(alert.State));
        w.WriteString("severity", SystemMetrics.Word(alert.Rule.Severity));
        w.WriteString("expr", alert.Rule.Condition.Text);
        w.WriteNumber("for_s", alert.Rule.For.TotalSeconds);
        w.WriteNumber("keep_firing_for_s", alert.Rule.KeepFiringFor.TotalSeconds);
        w.WriteBoolean("built_in", alert.Rule.BuiltIn);
        w.WriteString("webhook", alert.Rule.Webhook);
        if (alert.Since is { } since)
        {
            w.WriteString("since", since);
        }
        else
        {
            w.WriteNull("since");
        }

        w.WriteNumber("fired", alert.Fired);
        w.WriteEndObject();
    }

    public static void Webhook(Utf8JsonWriter w, WebhookStatus webhook)
    {
        w.WriteStartObject();
        w.WriteString("name", webhook.Name);
        w.WriteNumber("sent", webhook.Sent);
        w.WriteNumber("lost", webhook.Lost);
        w.WriteNumber("waiting", webhook.Waiting);
        w.WriteString("last_error", webhook.LastError);
        w.WriteEndObject();
    }

    public static void Checkpoint(Utf8JsonWriter w, CheckpointInfo info)
    {
        w.WriteStartObject();
        w.WriteString("id", info.Id.ToString());
        w.WriteString("status", SystemMetrics.Word(info.Status));
        if (info.Time is { } time)
        {
            w.WriteString("time", time);
        }

        w.WriteNumber("bytes", info.Bytes);
        w.WriteNumber("components", info.Components);
        w.WriteString("reason", info.Reason);
        w.WriteEndObject();
    }
}
