using System.Net.Http.Json;
using Loom.Testing;
using Loom.Testing.Telemetry;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Telemetry;

/// <summary>What a collector gets from a running Loom.</summary>
public sealed class OtlpTests
{
    private const string Mock = """
        [serving]
        bind = "127.0.0.1:0"
        [serving.node]
        bind = "127.0.0.1:0"
        [telemetry]
        metrics_port = 0
        [serving.engines.m]
        kind = "mock"
        [serving.pools.default]
        engine = "m"
        """;

    private const string Trace = "0af7651916cd43dd8448eb211c80319c";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Collector_OfARequest_GetsItsTraceMetricsAndLog(bool grpc)
    {
        await using var collector = await CollectorDouble.StartAsync(grpc);
        await using (var loom = await RunningLoom.UpAsync(
            Mock, ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", grpc ? "grpc" : "http/protobuf"), ("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_BLRP_SCHEDULE_DELAY", "100")))
        {
            using var http = new HttpClient { BaseAddress = loom.Api };
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions");
            request.Content = JsonContent.Create(new { model = "demo", messages = new[] { new { role = "user", content = "a secret plan" } }, max_tokens = 3 });
            request.Headers.TryAddWithoutValidation("traceparent", $"00-{Trace}-b7ad6b7169203331-01");
            request.Headers.TryAddWithoutValidation("x-request-id", "walk-1");
            using var answer = await http.SendAsync(request);
            answer.EnsureSuccessStatusCode();
            await Deadline.Until(() => collector.Spans.Count(s => s.Trace == Trace) >= 4, "the four spans of the request");
            // The first export pays for the connection, and on a busy machine more than the end has time for.
            await Deadline.Until(() => collector.Metrics.ContainsKey("orchd_requests_total") && !collector.Logs.IsEmpty, "metrics and log are sent");
        }

        var spans = collector.Spans.Where(s => s.Trace == Trace).ToDictionary(s => s.Name);
        var root = spans["POST /v1/chat/completions"];
        root.Parent.ShouldBe("b7ad6b7169203331");
        root.Service.ShouldBe("loom");
        root.Attributes.ShouldContain("loom.request_id=walk-1");
        root.Attributes.ShouldContain("gen_ai.request.model=demo");
        foreach (var name in new[] { "admission.wait", "placement.choose", "engine.request" })
        {
            spans[name].Parent.ShouldBe(root.Id, name);
        }

        string.Join('\n', collector.Spans.Select(s => s.Attributes).Concat(collector.Logs)).ShouldNotContain("a secret plan");
    }

    [Fact]
    public async Task Collector_OfAShortRun_GetsWhatIsLeftAtItsEnd()
    {
        // The end waits two seconds and no longer: on a busy machine that may be too short once, but not always.
        for (var attempt = 0; attempt < 5; attempt++)
        {
            await using var collector = await CollectorDouble.StartAsync(grpc: false);
            await using (var loom = await RunningLoom.UpAsync(Mock, ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")))
            {
                using var http = new HttpClient { BaseAddress = loom.Api };
                using var answer = await http.PostAsJsonAsync("/v1/chat/completions", new { model = "demo", messages = new[] { new { role = "user", content = "hi" } }, max_tokens = 1 });
                answer.EnsureSuccessStatusCode();
            }

            if (collector.Metrics.ContainsKey("orchd_requests_total") && !collector.Logs.IsEmpty && !collector.Spans.IsEmpty)
            {
                return;
            }
        }

        Assert.Fail("five runs ended, and none of them sent what was left");
    }

    [Fact]
    public async Task Collector_ThatIsNotThere_StopsNothing()
    {
        await using var loom = await RunningLoom.UpAsync(Mock, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "50"));
        using var http = new HttpClient { BaseAddress = loom.Api };
        using var answer = await http.PostAsJsonAsync("/v1/chat/completions", new { model = "demo", messages = new[] { new { role = "user", content = "hi" } }, max_tokens = 1 });
        answer.EnsureSuccessStatusCode();

        var log = Path.Combine(loom.Folder, ".loom", "logs", "loom.log");
        await Deadline.Until(() => File.ReadAllText(log).Contains("telemetry cannot be sent to http://127.0.0.1:9", StringComparison.Ordinal), "the warning in the log");
    }
}
