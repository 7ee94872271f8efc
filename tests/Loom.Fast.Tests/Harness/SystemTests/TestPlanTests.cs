using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Loom.Harness.Tests;
using Loom.Harness.Tests.Running;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.SystemTests;

public sealed class TestPlanTests
{
    private static readonly SystemPlan s_plan = new MemorySystem("""
        schema_version: "1.0.0"
        system: { name: numbers, version: 1.0.0 }
        components:
          - { name: make, type: Source, uses: generate, config: { count: 3 } }
          - name: sort
            type: Router
            uses: route
            config: { rules: [ { port: small, when: data.n < 10 }, { port: large, when: "true" } ] }
          - { name: label, type: Model, uses: llm, config: { prompt: "{{ data.n }}" } }
          - { name: small, type: Sink, uses: stdout }
          - { name: large, type: Sink, uses: stdout }
        bindings:
          - { from: make.out, to: sort.in }
          - { from: sort.small, to: small.in }
          - { from: sort.large, to: label.in, buffer: 7 }
          - { from: label.out, to: large.in }
        """) { Components = ComponentCatalog.BuiltIns }.Load().Plan!;

    [Fact]
    public void Plan_OfAGivenSource_FeedsInItsPlaceUnderItsName()
    {
        var plan = Of(Case() with { Given = [Given("make", "out")] });
        plan.Plan.Components.Select(c => c.Name).ShouldBe(["make", "sort", "label", "small", "large"]);
        plan.StandIns.Keys.ShouldBe(["make"]);
        plan.Plan.Bindings.Select(b => b.Name).ShouldBe(s_plan.Bindings.Select(b => b.Name));
    }

    [Fact]
    public void Plan_OfASlice_KeepsRulesOfCutBindingsAndFeedsWhatIsOpen()
    {
        var plan = Of(Case() with { Only = Only("label"), Given = [Given("label", "in")] });
        plan.Plan.Components.Select(c => (c.Name, c.Type)).ShouldBe([("label", ComponentType.Model), ("given label.in", ComponentType.Source), ("large", ComponentType.Sink)]);
        plan.Plan.Bindings.Select(b => (b.FromComponent, b.FromPort, b.ToComponent, b.ToPort)).ShouldBe([("given label.in", "out", "label", "in"), ("label", "out", "large", "in")]);
        plan.Where(new PortName("large", "in")).ShouldBe(new PortName("large", "in"));
    }

    [Fact]
    public void Plan_OfASliceNobodyFeeds_EndsAtOnce()
    {
        var plan = Of(Case() with { Only = Only("small", "label") });
        plan.StandIns.Keys.ShouldBe(["sort.small", "sort.large", "large"]);
        plan.Plan.Bindings.Single(b => b.ToComponent == "label").ShouldSatisfyAllConditions(b => b.Buffer.ShouldBe(7), b => b.FromComponent.ShouldBe("sort.large"), b => b.FromPort.ShouldBe("out"));
    }

    [Fact]
    public void Plan_OfAModelWithoutMock_IsNeverReal()
    {
        TestPlan.IsMocked(s_plan.Components.Single(c => c.Name == "label"), Case()).ShouldBeTrue();
        TestPlan.IsMocked(s_plan.Components.Single(c => c.Name == "label"), Case() with { Live = true }).ShouldBeFalse();
        TestPlan.IsMocked(s_plan.Components.Single(c => c.Name == "sort"), Case()).ShouldBeFalse();
    }

    private static TestPlan Of(TestCase test) => TestPlan.Of(s_plan, test, TimeProvider.System);

    private static TestCase Case() => new() { Name = "one", Place = default };

    private static GivenEvents Given(string component, string port) => new(new PortName(component, port), default, [new GivenEvent(TimeSpan.Zero, JsonElement.Parse("1"))]);

    private static Dictionary<string, TestPlace> Only(params string[] names) => names.ToDictionary(n => n, _ => default(TestPlace));
}
