using System.Text;
using System.Xml.Linq;
using FsCheck;
using FsCheck.Fluent;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Guarantees;
using Loom.Harness.Architecture.Locking;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class GraphTests
{
    private const string Branching = """
        schema_version: "1.0.0"
        system: { name: branching, version: 1.0.0 }
        components:
          - { name: read, type: Source, uses: lines, config: { path: "a<b>&\"c\"" } }
          - { name: tick, type: Source, uses: tick }
          - { name: pick, type: Router, uses: choose, config: { ports: [small, large] } }
          - { name: count, type: Accumulator, uses: count }
          - { name: keep, type: Sink, uses: keep }
          - { name: show, type: Sink, uses: print }
        bindings:
          - { from: read.out, to: pick.in }
          - { from: tick.out, to: count.in }
          - { from: pick.small, to: count.in }
          - { from: pick.large, to: keep.in }
          - { from: count.out, to: [keep.in, show.in] }
        """;

    [Theory]
    [InlineData("default", "default", "first", "architecture.yaml:9:44: error LH218: tick.out has a binding with condition: default already; only one can take the rest")]
    [InlineData("data.n > 1", "data.n > 1", "first", "architecture.yaml:9:44: warning LH218: tick.out->b.in gets nothing")]
    [InlineData("data.n > 1", "data.n > 1", "all", null)]
    [InlineData("data.n > 1", "default", "first", null)]
    public void Check_TwoBindingsOfOneCondition_SaidAtTheSecond(string first, string second, string match, string? said)
    {
        var findings = new MemorySystem($$"""
            schema_version: "1.0.0"
            system: { name: twice, version: 1.0.0 }
            components:
              - { name: tick, type: Source, uses: tick, ports: { outputs: [ { name: out, distribution: { mode: conditional, match: {{match}} } } ] } }
              - { name: a, type: Sink, uses: print }
              - { name: b, type: Sink, uses: print }
            bindings:
              - { from: tick.out, to: a.in, condition: {{first}} }
              - { from: tick.out, to: b.in, condition: {{second}} }
            """).Load().Findings;

        if (said is null)
        {
            findings.ShouldBeEmpty();
        }
        else
        {
            findings.ShouldHaveSingleItem().ToString().ShouldStartWith(said);
        }
    }

    [Fact]
    public void Svg_OfAnyGraph_IsXmlAndTheSameEveryTime()
    {
        var plan = new MemorySystem(Branching).Load().Plan!;
        var svg = GraphSvg.Write(plan);
        var document = XDocument.Parse(svg);
        document.Root!.Name.LocalName.ShouldBe("svg");
        document.Descendants().Count(e => e.Name.LocalName == "g").ShouldBe(6);
        document.Descendants().Count(e => e.Name.LocalName == "path" && e.Attribute("marker-end") is not null).ShouldBe(6);
        GraphSvg.Write(new MemorySystem(Branching).Load().Plan!).ShouldBe(svg);
    }

    [Fact]
    public void Mermaid_OfABranchingGraph_NamesPortsThatAreNotTheUsual() => GraphMermaid.Write(new MemorySystem(Branching).Load().Plan!).ShouldBe("""
        flowchart LR
          c0(["read<br/>lines"])
          c1(["tick<br/>tick"])
          c2{"pick<br/>choose"}
          c3["count<br/>count"]
          c4[("keep<br/>keep")]
          c5[("show<br/>print")]
          c0 --> c2
          c1 --> c3
          c2 -->|"small"| c3
          c2 -->|"large"| c4
          c3 --> c4
          c3 --> c5

        """);

    [Fact]
    public void Layout_OfABranchingGraph_PutsEveryComponentRightOfWhatFeedsItAndNoTwoTogether()
    {
        var plan = new MemorySystem(Branching).Load().Plan!;
        var cells = GraphLayout.Of(plan);
        cells.ShouldBeUnique();
        foreach (var binding in plan.Bindings)
        {
            Cell(binding.FromComponent).Column.ShouldBeLessThan(Cell(binding.ToComponent).Column);
        }

        GraphCell Cell(string name) => cells[plan.Components.ToList().FindIndex(c => c.Name == name)];
    }

    [Fact]
    public void Json_OfAGraph_IsCanonical() =>
        Encoding.UTF8.GetString(CanonicalText.Of(GraphDocument.Of(new MemorySystem(LoaderTests.Small).Load().Plan!))).ShouldStartWith("""
            {
              "bindings": [
                {
                  "from": "read.out",
                  "name": "read.out->work.in",
                  "to": "work.in"
                },
            """);

    [Fact]
    public void Guarantees_OfEveryPath_NameTheWeakestLink()
    {
        var paths = GuaranteeRules.Of(new MemorySystem(Branching).Load().Plan!);
        paths.Select(p => (p.Source, p.Sink, p.Delivery)).ShouldBe(
        [
            ("read", "keep", Delivery.EffectivelyOnce), ("read", "show", Delivery.AtLeastOnce),
            ("tick", "keep", Delivery.AtMostOnce), ("tick", "show", Delivery.AtMostOnce),
        ]);
        paths[1].WeakestLink.ShouldBe("sink show shows an event again when it is repeated; use an idempotent sink");
        paths[2].WeakestLink.ShouldBe("source tick cannot send again what a crash lost; use a replayable source");
        GuaranteeRules.Of(new MemorySystem(Branching).Load().Plan!, "inmem_ephemeral")[0].WeakestLink!.ShouldStartWith("count keeps its state in memory only");
    }

    /// <summary>A graph is refused for a cycle exactly when it has one.</summary>
    [Fact]
    public void Cycles_OfRandomGraphs_AreFoundExactlyWhereTheyAre() =>
        Prop.ForAll(ArbMap.Default.ArbFor<(byte, byte)[]>(), pairs =>
        {
            var edges = pairs.Take(24).Select(p => (From: p.Item1 % 8, To: p.Item2 % 8)).Distinct().ToList();
            var text = new StringBuilder("schema_version: 1.0.0\nsystem: {name: s}\ncomponents:\n");
            for (var i = 0; i < 8; i++)
            {
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"- {{name: c{i}, type: Accumulator, uses: count}}\n");
            }

            text.Append("bindings:\n");
            foreach (var (from, to) in edges)
            {
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"- {{from: c{from}.out, to: c{to}.in}}\n");
            }

            return new MemorySystem(text.ToString()).Load().Findings.Any(f => f.Code == "LH211") == HasCycle(edges);
        }).QuickCheckThrowOnFailure();

    // Take away what nothing feeds until nothing is left, or only cycles are.
    private static bool HasCycle(List<(int From, int To)> edges)
    {
        var left = edges.ToList();
        while (left.RemoveAll(e => left.All(o => o.To != e.From)) > 0)
        {
        }

        return left.Count > 0;
    }
}
