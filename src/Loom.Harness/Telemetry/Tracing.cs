using System.Diagnostics;
using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Telemetry;

/// <summary>
/// Traces of single events: one in <c>policy.observability.sample</c> of those that come in gets a trace, which everything derived from it inherits, and each component that handles
/// one adds a span; so does every failure, sampled or not. Keys and payloads are never recorded. Nothing is sampled while nobody listens.
/// </summary>
internal static class Tracing
{
    /// <summary>Name of the source; exporters ask for it.</summary>
    public const string SourceName = "Loom.Harness";

    private static readonly ActivitySource s_source = new(SourceName);

    /// <summary>Whether anybody listens.</summary>
    public static bool IsOn => s_source.HasListeners();

    /// <summary>Begins the trace of an event that comes into the system.</summary>
    /// <returns>The event as it goes on.</returns>
    public static Event<T> Begin<T>(string component, in Event<T> e)
    {
        // Ended at once: it stands for the coming in, and the loop that made the event goes on to others.
        using var root = s_source.HasListeners() ? s_source.StartActivity("event " + component, ActivityKind.Producer, default(ActivityContext)) : null;
        root?.SetTag("loom.component", component).SetTag("loom.event_id", e.Id.ToString());
        return root is null ? e : e.WithTrace(root.Context);
    }

    /// <summary>Begins the span of a component that handles a traced event; null when nobody listens.</summary>
    public static Activity? Hop<T>(string component, in Event<T> e) =>
        s_source.StartActivity(component, ActivityKind.Consumer, e.Trace)?.SetTag("loom.component", component).SetTag("loom.event_id", e.Id.ToString());

    /// <summary>Says that what a span stands for failed.</summary>
    public static void Fail(Activity? hop, Exception error) => hop?.SetStatus(ActivityStatusCode.Error, ErrorClasses.CodeOf(error));

    /// <summary>The span of a failure, in the trace of its event or in one of its own.</summary>
    /// <returns>The trace, as 32 hex digits; null when there is none.</returns>
    public static string? Failure(ItemFailure failure, string code)
    {
        if (!s_source.HasListeners())
        {
            return failure.TraceId;
        }

        using var span = s_source.StartActivity("error " + failure.Component, ActivityKind.Internal, failure.Trace);
        span?.SetTag("loom.component", failure.Component).SetTag("loom.event_id", failure.Id.ToString()).SetTag("loom.error_code", code).SetStatus(ActivityStatusCode.Error, code);
        return span?.TraceId.ToHexString() ?? failure.TraceId;
    }

    /// <summary>The trace of an event in the form of the header <c>traceparent</c>.</summary>
    public static string Parent(in ActivityContext trace) => $"00-{trace.TraceId.ToHexString()}-{trace.SpanId.ToHexString()}-{(trace.TraceFlags.HasFlag(ActivityTraceFlags.Recorded) ? "01" : "00")}";
}
