using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class LoaderTests
{
    internal const string Small = """
        schema_version: "1.0.0"
        system: { name: small, version: 1.2.0, description: Three in a row }
        components:
          - { name: read, type: Source, uses: lines, config: { path: in.txt, settle_ms: 20 } }
          - name: work
            type: Transformer
            uses: each
            config: { copies: 3 }
            capabilities: [ { Retry: { max_attempts: 5 } }, Timeout ]
            batching: { max_items: 8 }
            concurrency: 4
          - { name: store, type: Sink, uses: keep }
        bindings:
          - { from: read.out, to: work.in, buffer: 500 }
          - { from: work.out, to: [store.in] }
        policy: { delivery: at_least_once }
        """;

    [Fact]
    public void Load_ASmallSystem_IsPlannedWithEveryDefault()
    {
        var result = new MemorySystem(Small).Load();
        result.Findings.ShouldBeEmpty();
        var plan = result.Plan.ShouldNotBeNull();
        (plan.Name, plan.Version).ShouldBe(("small", "1.2.0"));
        plan.Components.Select(c => c.Name).ShouldBe(["read", "work", "store"]);
        plan.Components[0].Options.ShouldBe(new Parts.LinesOptions { Path = "in.txt", SettleMs = TimeSpan.FromMilliseconds(20) });
        var work = plan.Components[1];
        work.Capabilities.Select(c => c.Name).ShouldBe(["SchemaValidator", "RateLimiter", "Batched", "Retry", "Timeout", "Metrics"]);
        work.Capabilities.Where(c => c.Declared).Select(c => c.Name).ShouldBe(["Retry", "Timeout"]);
        work.Mode.ShouldBe(ProcessingMode.Batch);
        work.Batching!.MaxItems.ShouldBe(8);
        work.Ports.Select(p => p.Name).ShouldBe(["in", "out", "control", "errors"]);
        plan.Bindings.Select(b => (b.Name, b.Buffer)).ShouldBe([("read.out->work.in", 500), ("work.out->store.in", 1000)]);
        plan.Policy.Delivery.ShouldBe(Delivery.AtLeastOnce);
    }

    [Fact]
    public void Factory_AComponentWithOptionsAndServices_IsMade()
    {
        var plan = new MemorySystem(Small).Load().Plan!;
        var made = new ComponentFactory(new Services()).Create(plan.Components[0]).ShouldBeOfType<Parts.Lines>();
        made.Options.Path.ShouldBe("in.txt");
        made.Time.ShouldBe(TimeProvider.System);
    }

    [Fact]
    public void Load_AnUnknownPort_IsToldWithItsPlaceAndTheNearestName() =>
        new MemorySystem(Small.Replace("to: work.in, buffer", "to: work.inn, buffer")).Lines().ShouldBe(
            ["architecture.yaml:14:27: error LH204: component \"work\" has no input port \"inn\"; did you mean \"in\"? (inputs: in, control)"]);

    [Fact]
    public void Load_ACapabilityOnASource_IsRefused() =>
        new MemorySystem(LoaderTests.Small.Replace("settle_ms: 20 } }", "settle_ms: 20 }, capabilities: [RateLimiter] }")).Lines().ShouldBe(
            ["architecture.yaml:4:101: error LH308: component \"read\" has no data input, so RateLimiter has no events to act on; put it on the component behind it"]);

    [Fact]
    public void Load_ASystemOfNothing_TellsWhatItNeeds() => new MemorySystem("{}").Lines().ShouldBe(
    [
        "architecture.yaml:1:1: error LH107: architecture needs the key \"components\": a list of what the system is made of; add it",
        "architecture.yaml:1:1: error LH107: architecture needs the key \"schema_version\"; add it",
        "architecture.yaml:1:1: error LH107: architecture needs the key \"system\": { name, version }; add it",
    ]);

    private sealed class Services : IServiceProvider
    {
        public object? GetService(Type serviceType) => serviceType == typeof(TimeProvider) ? TimeProvider.System : null;
    }
}
