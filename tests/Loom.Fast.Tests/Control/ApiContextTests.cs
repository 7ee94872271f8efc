using System.Diagnostics.Metrics;
using System.Text;
using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Control.Placement;
using Loom.Control.Sessions;
using Loom.Core.Web;
using Loom.Testing;
using Loom.Wire;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

/// <summary>A connection may end before the server has looked at what came through it.</summary>
public sealed class ApiContextTests : IDisposable, INodeLink
{
    private readonly Meter _meter = new("test");
    private readonly AdmissionDesk _desk;
    private readonly ControlMetrics _metrics;
    private readonly UpstreamClient _upstream = new(TimeSpan.FromSeconds(1));
    private readonly GatewayServices _services;

    public ApiContextTests()
    {
        var time = new ManualTimeProvider();
        var random = new Random(1);
        _metrics = new ControlMetrics(_meter);
        _desk = new AdmissionDesk(new AdmissionOptions(), PlacementStrategies.Create(PlacementKind.RoundRobin, random), time, random);
        _services = new GatewayServices(
            new GatewayOptions(), new AdmissionOptions(), new ReplicaTable(), _desk, _upstream, new NoUpstreamCredentials(), this, new SessionTable(new PriceList(System.Collections.Immutable.ImmutableDictionary<string, Price>.Empty), time), new RequestLog(),
            new SlotSettler(_desk, _upstream, new NoUpstreamCredentials(), _metrics, time, NullLogger.Instance), _metrics, time, NullLogger.Instance);
    }

    [Fact]
    public async Task Connection_ClosedBeforeItIsWatched_IsForgottenAndItsCallEnds()
    {
        var features = Features(new CancellationToken(canceled: true));
        var context = new ApiContext(features, _services);
        var forgotten = 0;

        context.Watch(_ => forgotten++);

        forgotten.ShouldBe(1);
        await context.Call.RunAsync(context.Http, InferenceRoute.Chat, "id", Caller.Anonymous);
        features.Get<IHttpRequestLifetimeFeature>()!.ShouldBeOfType<Lifetime>().Aborted.ShouldBeTrue("nobody listens any more");
    }

    [Fact]
    public void Connection_ClosedLater_IsForgottenOnce()
    {
        using var closing = new CancellationTokenSource();
        var context = new ApiContext(Features(closing.Token), _services);
        var forgotten = 0;
        context.Watch(_ => forgotten++);
        forgotten.ShouldBe(0);

        closing.Cancel();

        forgotten.ShouldBe(1);
    }

    public void ReportFault(ReplicaId replica, string reason) => throw new InvalidOperationException(reason);

    public Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel) =>
        throw new InvalidOperationException(command.Word);

    public void Dispose()
    {
        _upstream.Dispose();
        _desk.Dispose();
        _metrics.Dispose();
        _meter.Dispose();
    }

    private static FeatureCollection Features(CancellationToken closed)
    {
        var body = Encoding.UTF8.GetBytes("""{"model":"demo","messages":[{"role":"user","content":"hi"}]}""");
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature { Body = new MemoryStream(body) });
        features.Set<IHttpResponseFeature>(new HttpResponseFeature());
        features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(new MemoryStream()));
        var lifetime = new Lifetime { ConnectionClosed = closed };
        features.Set<IConnectionLifetimeFeature>(lifetime);
        features.Set<IHttpRequestLifetimeFeature>(lifetime);
        return features;
    }

    private sealed class Lifetime : IConnectionLifetimeFeature, IHttpRequestLifetimeFeature
    {
        public CancellationToken ConnectionClosed { get; set; }

        public CancellationToken RequestAborted { get; set; }

        public bool Aborted { get; private set; }

        public void Abort() => Aborted = true;
    }
}
