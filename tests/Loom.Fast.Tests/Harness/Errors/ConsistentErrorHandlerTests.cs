using System.Diagnostics;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Errors;
using Loom.Harness.Secrets;
using Loom.Testing;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;
using EventId = Loom.Components.EventId;

namespace Loom.Fast.Tests.Harness.Errors;

public sealed class ConsistentErrorHandlerTests
{
    private static readonly ErrorOrigin s_origin = new("rag", "1.2.0", "host-1", Unlocked: false) { Secrets = new Dictionary<string, string> { ["KEY"] = "hunter2" } };

    private readonly ManualTimeProvider _time = new();
    private readonly Lines _log = new();
    private readonly Probe _probe = new();

    [Fact]
    public void Describe_Failure_HasEveryFieldOfTheRecord()
    {
        using var handler = Handler();
        var failure = new ItemFailure(
            "chunk", "in", EventId.Parse("files:a.md:7/0"), "k1", DateTimeOffset.UnixEpoch, default, new InvalidOperationException("no hunter2 here", new IOException("disk")), 3, Mock: true)
        {
            Capability = "Retry",
            Index = 4,
            Trace = new ActivityContext(ActivityTraceId.CreateFromString("0af7651916cd43dd8448eb211c80319c"), ActivitySpanId.CreateFromString("b7ad6b7169203331"), ActivityTraceFlags.None),
        };

        var json = JsonSerializer.SerializeToElement(handler.Describe(failure), ErrorJson.Default.ErrorRecord);

        json.EnumerateObject().Select(p => p.Name).ShouldBe([
            "error_id", "time", "system", "version", "component", "instance", "capability", "port", "event", "attempt", "index", "code", "message", "exceptions",
            "retryable", "trace_id", "mock", "resources"]);
        json.GetProperty("event").ToString().ShouldBe("""{"id":"files:a.md:7/0","key":"k1","time":"1970-01-01T00:00:00+00:00"}""");
        json.GetProperty("attempt").GetInt32().ShouldBe(3);
        json.GetProperty("code").GetString().ShouldBe("invalid_operation");
        json.GetProperty("message").GetString().ShouldBe("no [redacted:KEY] here");
        json.GetProperty("exceptions")[1].ToString().ShouldBe("""{"type":"System.IO.IOException","message":"disk"}""");
        json.GetProperty("retryable").GetBoolean().ShouldBeFalse();
        json.GetProperty("trace_id").GetString().ShouldBe("0af7651916cd43dd8448eb211c80319c");
        json.GetProperty("mock").GetBoolean().ShouldBeTrue();
        json.GetProperty("resources").EnumerateObject().Select(p => p.Name).ShouldBe([
            "cpu_percent", "rss_mb", "heap_mb", "gc_pause_ms", "gen2_count", "threadpool", "open_fds", "disk_free_mb", "gpu", "sampled_at"]);
    }

    [Fact]
    public void Letter_OfAKeyAndHeadersThatHoldSecrets_KeepsThemAndShowsNone()
    {
        var origin = s_origin with
        {
            Secrets = new Dictionary<string, string> { ["KEY"] = "hunter2", ["PIN"] = "k" },
            FieldsOf = static (_, _) => SecretFields.Of(["""{"properties":{"ssn":{"x-secret":true}}}"""], new Dictionary<string, string>()),
        };
        using var handler = new ConsistentErrorHandler(origin, _probe, _time, new Random(1), _log);
        var failure = Failure("store", new ItemException("bad", "no 078-05-1120 in k")) with
        {
            Key = "key of 078-05-1120",
            Payload = JsonElement.Parse("""{"ssn":"078-05-1120"}"""),
            Headers = new Dictionary<string, string> { ["person"] = "ssn=078-05-1120", ["auth"] = "Bearer hunter2", ["other"] = "x" },
        };

        var letter = handler.Letter(failure);
        var read = DeadLetterLine.Read(DeadLetterLine.Of(letter).WrittenSpan[..^1]).Letter.ShouldNotBeNull();

        foreach (var one in new[] { letter, read })
        {
            one.Record.Event.Key.ShouldBe("[redacted:PIN]ey of [redacted:field 1]");
            one.Record.Message.ShouldBe("no [redacted:field 1] in [redacted:PIN]");
            one.Key.ShouldBe("key of 078-05-1120");
            one.Headers["auth"].ShouldBe("Bearer hunter2");
            one.Secrets.ShouldBe(["/ssn"]);
            one.ShownHeaders().ShouldBe(new Dictionary<string, string> { ["person"] = "[redacted]", ["auth"] = "[redacted]", ["other"] = "x" }, ignoreOrder: true);
        }

        // As an older version wrote it.
        (read with { SecretHeaders = [] }).ShownHeaders().Single(h => h.Key == "person").Value.ShouldBe("[redacted]");
        handler.Clean(failure, "wrong key for 078-05-1120").ShouldBe("wrong [redacted:PIN]ey for [redacted:field 1]");
    }

    [Fact]
    public void Describe_StormOfEqualErrors_OneSampleASecondAndTwoLinesAWindow()
    {
        using (var handler = Handler())
        {
            var ids = new HashSet<string>();
            for (var i = 0; i < 100_000; i++)
            {
                ids.Add(handler.Describe(Failure("store", new ItemException("bad", $"item {i}"))).ErrorId);
                if (i % 5000 == 4999)
                {
                    _time.Advance(TimeSpan.FromSeconds(1)); // 20 s in all
                }
            }

            ids.Count.ShouldBe(100_000);
            handler.Count.ShouldBe(100_000);
            _probe.Samples.ShouldBe(20);
        }

        _log.Texts.Count.ShouldBe(3);
        _log.Texts[0].ShouldStartWith("store: bad: item 0 (error ");
        var counted = _log.Texts.Skip(1).Select(t => long.Parse(t.Split(' ')[2])).Sum();
        counted.ShouldBe(99_999);
        _log.Texts[^1].ShouldEndWith(" more like it in 10 s");
    }

    [Fact]
    public void Describe_DifferentCodesAndComponents_AreEachSaidAtOnceAndSilenceEndsAWindow()
    {
        using var handler = Handler();
        handler.Describe(Failure("a", new ItemException("one", "m")));
        handler.Describe(Failure("a", new ItemException("two", "m")));
        handler.Describe(Failure("b", new ItemException("one", "m")));
        _log.Texts.Count.ShouldBe(3);

        _time.Advance(TimeSpan.FromSeconds(25));
        _log.Texts.Count.ShouldBe(3); // nothing was repeated
        handler.Describe(Failure("a", new ItemException("one", "again")));
        _log.Texts[3].ShouldStartWith("a: one: again");
    }

    private ConsistentErrorHandler Handler() => new(s_origin, _probe, _time, new Random(1), _log);

    private static ItemFailure Failure(string component, Exception error) =>
        new(component, "in", EventId.Root("s:0", 1), null, default, default, error, 1, Mock: false);

    private sealed class Probe : IResourceProbe
    {
        public int Samples { get; private set; }

        public ResourceSample Sample()
        {
            Samples++;
            return new ResourceSample
            {
                CpuPercent = 1,
                RssMb = 1,
                HeapMb = 1,
                GcPauseMs = 1,
                Gen2Count = 1,
                Threadpool = new ThreadPoolSample(1, 0),
                OpenFds = 1,
                DiskFreeMb = 1,
                Gpu = [new GpuSample(0, 0.5, 10)],
                SampledAt = DateTimeOffset.UnixEpoch,
            };
        }
    }

    private sealed class Lines : ILogger
    {
        public List<string> Texts { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Texts.Add(formatter(state, exception));
    }
}
