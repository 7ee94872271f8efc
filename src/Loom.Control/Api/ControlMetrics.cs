using System.Diagnostics.Metrics;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Core.Queues;
using Loom.Wire;

namespace Loom.Control.Api;

/// <summary>What the control plane measures. Labels come from configuration and from us, never from requests.</summary>
internal sealed class ControlMetrics : IDisposable
{
    private static readonly InstrumentAdvice<double> s_decision = Buckets(1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 0.00001, 0.000025, 0.0001, 0.001);
    private static readonly InstrumentAdvice<double> s_short = Buckets(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1);
    private static readonly InstrumentAdvice<double> s_long = Buckets(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300);

    private readonly Meter _meter;
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _overhead;
    private readonly Counter<long> _enqueued;
    private readonly Counter<long> _started;
    private readonly Counter<long> _canceled;
    private readonly Counter<long> _rejected;
    private readonly Histogram<double> _queueWait;
    private readonly Histogram<double> _predictionError;
    private readonly Counter<long> _backpressure;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _tokenGap;
    private readonly Histogram<double> _decode;
    private readonly Counter<long> _tokensIn;
    private readonly Counter<long> _tokensCached;
    private readonly Counter<long> _tokensOut;
    private readonly Counter<long> _placements;
    private readonly Histogram<double> _placement;
    private readonly Counter<long> _retries;
    private readonly Histogram<double> _cancel;
    private readonly Counter<long> _repairs;
    private readonly Counter<long> _clientStalls;

    public ControlMetrics(Meter meter)
    {
        _meter = meter;
        _requests = meter.CreateCounter<long>("orchd_requests_total", description: "Requests answered.");
        _duration = meter.CreateHistogram("orchd_request_duration_seconds", "s", "Time from the request's headers to the end of its answer.", null, s_long);
        _overhead = meter.CreateHistogram("orchd_gateway_overhead_seconds", "s", "Time spent in neither queue nor engine.", null, s_short);
        _enqueued = meter.CreateCounter<long>("orchd_tasks_enqueued_total", description: "Requests that entered admission.");
        _started = meter.CreateCounter<long>("orchd_tasks_started_total", description: "Requests dispatched to a replica.");
        _canceled = meter.CreateCounter<long>("orchd_tasks_canceled_total", description: "Requests ended by their client.");
        _rejected = meter.CreateCounter<long>("orchd_tasks_rejected_total", description: "Requests refused or evicted by admission.");
        _queueWait = meter.CreateHistogram("orchd_queue_wait_seconds", "s", "Time from arrival to the lease of a slot.", null, s_long);
        _predictionError = meter.CreateHistogram("orchd_queue_prediction_error_seconds", "s", "Distance of the predicted from the real wait.", null, s_long);
        _backpressure = meter.CreateCounter<long>("orchd_admission_backpressure_events_total", description: "Times a full queue refused or evicted.");
        _firstToken = meter.CreateHistogram("orchd_first_token_seconds", "s", "Time from dispatch to the first byte of the answer.", null, s_long);
        _tokenGap = meter.CreateHistogram("orchd_inter_token_seconds", "s", "Time between two pieces of a streamed answer.", null, s_long);
        _decode = meter.CreateHistogram("orchd_decode_seconds", "s", "Time from the first to the last byte of the answer.", null, s_long);
        _tokensIn = meter.CreateCounter<long>("orchd_tokens_in_total", description: "Prompt tokens.");
        _tokensCached = meter.CreateCounter<long>("orchd_tokens_cached_total", description: "Prompt tokens the engine had cached.");
        _tokensOut = meter.CreateCounter<long>("orchd_tokens_out_total", description: "Generated tokens.");
        _placements = meter.CreateCounter<long>("orchd_placement_decisions_total", description: "Placement decisions.");
        _placement = meter.CreateHistogram("orchd_placement_seconds", "s", "Time a placement decision took.", null, s_decision);
        _retries = meter.CreateCounter<long>("orchd_retries_total", description: "Attempts on another replica.");
        _cancel = meter.CreateHistogram("orchd_cancel_seconds", "s", "Time from the end of a call by its client to its slot being free.", null, s_short);
        _repairs = meter.CreateCounter<long>("orchd_stream_repairs_total", description: "Events of streams that break strict clients, by what was repaired; malformed ones passed as they came.");
        _clientStalls = meter.CreateCounter<long>("orchd_client_stalls_total", description: "Clients cut because they accepted no bytes.");
    }

    /// <summary>Adds the gauges, which are read when somebody asks.</summary>
    public void Observe(AdmissionDesk desk, ReplicaTable replicas)
    {
        _meter.CreateObservableGauge<int>(
            "orchd_queue_depth",
            () => [new(desk.Waiting(QueueClass.Interactive), Label("class", "interactive")), new(desk.Waiting(QueueClass.Batch), Label("class", "batch"))],
            description: "Requests that wait.");
        _meter.CreateObservableGauge(
            "orchd_pools_available",
            () => replicas.Current.Replicas.Where(r => r.IsReady).Select(r => r.Status.Id.PoolId).Distinct(StringComparer.Ordinal).Count(),
            description: "Pools with a ready replica.");
        _meter.CreateObservableGauge(
            "orchd_pool_slots",
            () => replicas.Current.Replicas.Where(r => r.IsReady).GroupBy(r => r.Status.Id.PoolId, StringComparer.Ordinal).SelectMany(Slots),
            description: "Slots of ready replicas.");
        _meter.CreateObservableGauge(
            "orchd_model_state",
            () => replicas.Current.Replicas.GroupBy(r => (r.Status.Id.PoolId, r.Status.Model, r.Status.State)).Select(g => new Measurement<int>(
                g.Count(), Label("pool", g.Key.PoolId), Label("model", g.Key.Model), Label("state", ModelRoutes.StateName(g.Key.State)))),
            description: "Replicas of a model by state.");
    }

    public void Requested(string route, string model, int status, double seconds)
    {
        var code = StatusName(status);
        _requests.Add(1, Label("route", route), Label("model", model), Label("code", code));
        _duration.Record(seconds, Label("route", route), Label("model", model), Label("code", code));
    }

    public void Overhead(string route, string model, double seconds) => _overhead.Record(seconds, Label("route", route), Label("model", model));

    public void Enqueued(string engine, QueueClass queueClass) => _enqueued.Add(1, Label("engine", engine), Label("class", ClassName(queueClass)));

    public void Started(string engine, QueueClass queueClass, double waitSeconds)
    {
        _started.Add(1, Label("engine", engine), Label("class", ClassName(queueClass)));
        _queueWait.Record(waitSeconds, Label("class", ClassName(queueClass)));
    }

    public void Predicted(QueueClass queueClass, double errorSeconds) => _predictionError.Record(errorSeconds, Label("class", ClassName(queueClass)));

    public void Canceled(string engine, QueueClass queueClass) => _canceled.Add(1, Label("engine", engine), Label("class", ClassName(queueClass)));

    public void Rejected(string engine, QueueClass queueClass, ProblemCode reason, string policy)
    {
        _rejected.Add(1, Label("engine", engine), Label("class", ClassName(queueClass)), Label("reason", ProblemRow.Of(reason).Name));
        if (reason is ProblemCode.AdmissionReject or ProblemCode.QueueFullDropLru)
        {
            _backpressure.Add(1, Label("engine", engine), Label("policy", policy));
        }
    }

    public void Placed(string strategy, string outcome, double seconds)
    {
        _placements.Add(1, Label("strategy", strategy), Label("outcome", outcome));
        _placement.Record(seconds, Label("strategy", strategy));
    }

    public void Retried(string outcome) => _retries.Add(1, Label("outcome", outcome));

    public void Cut(string phase, double seconds) => _cancel.Record(seconds, Label("phase", phase));

    /// <summary>An event that breaks strict clients was repaired, or was no JSON and passed as it came.</summary>
    public void StreamRepaired(string kind) => _repairs.Add(1, Label("kind", kind));

    public void ClientStalled() => _clientStalls.Add(1, Label("kind", "stream"));

    public void Answered(string pool, string model, double firstTokenSeconds, double decodeSeconds)
    {
        _firstToken.Record(firstTokenSeconds, Label("pool", pool), Label("model", model));
        _decode.Record(decodeSeconds, Label("pool", pool), Label("model", model));
    }

    public void TokenGap(string pool, string model, double seconds) => _tokenGap.Record(seconds, Label("pool", pool), Label("model", model));

    /// <summary>Told of the tokens each answer of a pool had; null = nobody wants to know.</summary>
    public Action<string, long>? Generated { get; set; }

    public void Tokens(string pool, string model, bool mock, long prompt, long cached, long completion)
    {
        var marker = mock ? "true" : "false";
        _tokensIn.Add(prompt, Label("pool", pool), Label("model", model), Label("mock", marker));
        _tokensCached.Add(cached, Label("pool", pool), Label("model", model), Label("mock", marker));
        _tokensOut.Add(completion, Label("pool", pool), Label("model", model), Label("mock", marker));
        Generated?.Invoke(pool, completion);
    }

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<int>> Slots(IGrouping<string, Replica> pool)
    {
        var total = pool.Sum(r => r.Status.SlotsTotal);
        var busy = pool.Sum(r => r.Load.Leases);
        yield return new Measurement<int>(busy, Label("pool", pool.Key), Label("state", "busy"));
        yield return new Measurement<int>(total - busy, Label("pool", pool.Key), Label("state", "free"));
    }

    private static InstrumentAdvice<double> Buckets(params double[] bounds) => new() { HistogramBucketBoundaries = bounds };

    private static KeyValuePair<string, object?> Label(string name, string value) => new(name, value);

    private static string ClassName(QueueClass queueClass) => queueClass == QueueClass.Interactive ? "interactive" : "batch";

    private static string StatusName(int status) => status switch
    {
        200 => "200",
        400 => "400",
        401 => "401",
        404 => "404",
        429 => "429",
        499 => "499",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => status.ToString(System.Globalization.CultureInfo.InvariantCulture),
    };
}
