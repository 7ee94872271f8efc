using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Capabilities;

/// <summary>
/// The chain executes in the order of the plan, which is the lock's: a recorder stands before, between and behind the seven capabilities, so that what each of them does to an event shows in the
/// order and number of what the recorders write down.
/// </summary>
public sealed class ChainTraceTests
{
    private static readonly StandardCapability[] s_seven =
    [
        StandardCapability.SchemaValidator, StandardCapability.RateLimiter, StandardCapability.State, StandardCapability.Retry,
        StandardCapability.CircuitBreaker, StandardCapability.Timeout, StandardCapability.Metrics,
    ];

    // Behind the seven, in their order: schema, rate, state, retry, breaker, timeout, metrics.
    private const string In = "schema+ rate+ state+ retry+ breaker+ timeout+ metrics+";
    private const string Out = "metrics- timeout- breaker- retry- state- rate- schema-";
    private const string Failed = "metrics! timeout! breaker! retry!";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Success_OneWayInAndTheSameWayOut(bool batches) =>
        (await TraceAsync(batches, [true], """{"n":1}""")).ShouldBe($"{In} handler {Out}");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TransientFailure_RetryRepeatsOnlyWhatIsInsideIt(bool batches) =>
        (await TraceAsync(batches, [false, true], """{"n":1}""")).ShouldBe(
            $"{In} handler {Failed} retry+ breaker+ timeout+ metrics+ handler {Out}");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FailureForGood_ReachesEveryoneWithTheError(bool batches) =>
        (await TraceAsync(batches, [false, false], """{"n":1}""")).ShouldBe(
            $"{In} handler {Failed} retry+ breaker+ timeout+ metrics+ handler {Failed} state! rate! schema!");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task InvalidPayload_StopsAtTheFirstOfThem(bool batches) =>
        (await TraceAsync(batches, [true], """{"m":1}""")).ShouldBe("");

    [Fact]
    public async Task LockSaysAnotherOrder_ItIsTheOneThatRuns()
    {
        // Breaker outside Retry: what is tried again no longer passes it.
        StandardCapability[] swapped = [.. s_seven[..3], StandardCapability.CircuitBreaker, StandardCapability.Retry, .. s_seven[5..]];
        (await TraceAsync(false, [false, true], """{"n":1}""", swapped)).ShouldBe(
            "schema+ rate+ state+ breaker+ retry+ timeout+ metrics+ handler metrics! timeout! retry! retry+ timeout+ metrics+ handler metrics- timeout- retry- breaker- state- rate- schema-");
    }

    private static async Task<string> TraceAsync(bool batches, bool[] attempts, string payload, StandardCapability[]? order = null)
    {
        var trace = new List<string>();
        var handled = 0;
        void Handle()
        {
            trace.Add("handler");
            if (!attempts[handled++])
            {
                throw new TimeoutException("later");
            }
        }

        var builder = new HarnessBuilder("trace")
            .Add("from", () => new One(JsonElement.Parse(payload)))
            .Add("part", () => new Part(Handle), p => p with
            {
                Capabilities = Chain(order ?? s_seven),
                Batching = batches ? new BatchingPlan { MaxItems = 4, MaxWait = TimeSpan.FromMilliseconds(1), ErrorMode = BatchErrorMode.FailFast } : null,
                Ports = [.. p.Ports.Select(port => port.Name == "in" ? port with { SchemaId = "doc", SchemaVersion = "1.0.0" } : port)],
            })
            .Bind("from.out", "part.in");
        var around = new CodedSurroundings
        {
            CreateCapability = c => new Recorder(c.Name, trace),
            Shape = p => p with { Schemas = new Dictionary<string, SchemaPlan> { ["doc"] = new("doc", "1.0.0", JsonElement.Parse("""{"type":"object","required":["n"]}"""), null) } },
        };
        await using var run = await CodedRun.LoadAsync(builder, around);
        (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended);
        run.Failures.Count.ShouldBe(trace.Count > 0 && attempts[^1] ? 0 : 1);
        return string.Join(' ', trace);
    }

    // A recorder behind each capability: what it writes down has passed that one.
    private static List<CapabilityPlan> Chain(StandardCapability[] order) => [.. order.SelectMany(standard => new[]
    {
        HarnessBuilder.Capability(standard, standard.Name switch
        {
            "RateLimiter" => new RateLimiterSettings(),
            "Retry" => new RetrySettings { MaxAttempts = 2, Backoff = TimeSpan.Zero },
            "CircuitBreaker" => new CircuitBreakerSettings(),
            "Timeout" => new TimeoutSettings(),
            "Metrics" => new MetricsSettings(),
            _ => null,
        }),
        new CapabilityPlan(Short(standard), standard.Tier + 1, Kernel: false, default) { Declared = true, Uses = new UsesPlan { Class = "Recorder" } },
    })];

    private static string Short(StandardCapability standard) => standard.Name switch
    {
        "SchemaValidator" => "schema",
        "RateLimiter" => "rate",
        "CircuitBreaker" => "breaker",
        var name => name.ToLowerInvariant(),
    };

    private sealed class Recorder(string name, List<string> trace) : Capability
    {
        protected internal override ValueTask BeforeProcessAsync(ItemContext item, CancellationToken ct) => Add("+");

        protected internal override ValueTask AfterProcessAsync(ItemContext item, Exception? error, CancellationToken ct) => Add(error is null ? "-" : "!");

        private ValueTask Add(string what)
        {
            trace.Add(name + what);
            return default;
        }
    }

    private sealed class One(JsonElement data) : Source<JsonElement>
    {
        private bool _done;

        protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            var read = _done ? Read<JsonElement>.End : Read<JsonElement>.Item(data, 0, 1);
            _done = true;
            return new(read);
        }
    }

    private sealed class Part(Action handle) : Transformer<JsonElement, JsonElement>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
        {
            handle();
            return output.SendAsync(e, ct);
        }

        protected override ValueTask OnBatchAsync(Batch<JsonElement> batch, BatchEmitter<JsonElement> output, CancellationToken ct)
        {
            handle();
            output.Send(0, batch[0]);
            return default;
        }
    }
}
