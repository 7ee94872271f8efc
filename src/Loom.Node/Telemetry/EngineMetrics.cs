using System.Buffers;
using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Loom.Core.Telemetry;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Telemetry;

/// <summary>Asks running engines for their own metrics and merges them into one page: each family once, each sample with node, pool, replica and model.</summary>
internal sealed class EngineMetrics : IDisposable
{
    private const int LargestPage = 1 << 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ActivityHeadersPropagator = null })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        MaxResponseContentBufferSize = LargestPage,
    };

    private readonly TimeProvider _time;

    public EngineMetrics(TimeProvider time) => _time = time;

    /// <summary>Share of context memory in use by engine, as it was told at the last look.</summary>
    public ImmutableArray<Measurement<double>> CacheUse { get; private set; } = [];

    /// <summary>Asks all engines at once, a second at most, and writes what they answered; one that does not answer is left out.</summary>
    public async Task WriteAsync(ImmutableArray<ReplicaStatus> replicas, IBufferWriter<byte> output, CancellationToken cancellationToken)
    {
        var asked = replicas.Where(r => r.Url is not null && r.EngineKind != EngineKinds.OpenAI && r.State is ReplicaState.Ready or ReplicaState.Draining or ReplicaState.Reloading).ToList();
        var pages = await Task.WhenAll(asked.Select(r => AskAsync(r.Url!, cancellationToken))).ConfigureAwait(false);
        var merged = new EngineFamilies();
        List<Measurement<double>> cache = [];
        foreach (var (replica, page) in asked.Zip(pages))
        {
            merged.Add(page, $"node=\"{PrometheusExporter.Escape(replica.Id.NodeId)}\",pool=\"{PrometheusExporter.Escape(replica.Id.PoolId)}\",replica=\"{PrometheusExporter.Escape(replica.Id.ReplicaName)}\",model=\"{PrometheusExporter.Escape(replica.Model)}\"");
            if (CacheOf(page) is { } use)
            {
                cache.Add(new Measurement<double>(use, new("pool", replica.Id.PoolId), new("replica", replica.Id.ReplicaName)));
            }
        }

        CacheUse = [.. cache];
        merged.Write(output);
    }

    public void Dispose() => _http.Dispose();

    private async Task<string> AskAsync(string url, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(s_patience, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var response = await _http.GetAsync(new Uri(new Uri(url + "/"), "../metrics"), both.Token).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false)) : "";
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return "";
        }
    }

    // llama.cpp's name for it, and vLLM's.
    private static double? CacheOf(string page)
    {
        foreach (var line in page.Split('\n'))
        {
            if ((line.StartsWith("llamacpp:kv_cache_usage_ratio", StringComparison.Ordinal) || line.StartsWith("vllm:gpu_cache_usage_perc", StringComparison.Ordinal))
                && double.TryParse(line[(line.LastIndexOf(' ') + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out var use))
            {
                return use;
            }
        }

        return null;
    }
}
