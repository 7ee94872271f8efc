using System.Text;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Fixing;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Locking;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class LockTests
{
    [Fact]
    public void Bytes_OfALock_AreCanonicalAndReadBack()
    {
        var system = new MemorySystem(LoaderTests.Small);
        var bytes = Compute(system).ToBytes();
        var text = Encoding.UTF8.GetString(bytes);
        text.ShouldStartWith("{\n  \"components\": {\n");
        text.ShouldEndWith("}\n");
        text.ShouldNotContain("\r");
        text.ShouldNotContain(MemorySystem.Folder);
        LockContent.Parse(bytes).ToBytes().ShouldBe(bytes);
        LockContent.Parse(bytes).ComputeHash().ShouldBe(Compute(system).LockHash);
    }

    [Fact]
    public void Verify_TheSameFiles_FitsAndTakesTheOrderOfTheLock()
    {
        var system = Locked(LoaderTests.Small);
        var verdict = SystemLock.Verify(system.Load(), system);
        verdict.Findings.ShouldBeEmpty();
        verdict.Plan!.Components[1].Capabilities.Select(c => c.Name).ShouldBe(["SchemaValidator", "RateLimiter", "Batched", "Retry", "Timeout", "Metrics"]);
    }

    [Fact]
    public void Verify_OneByteOfAnyInputChanged_NamesIt()
    {
        const string Command = """
            schema_version: "1.0.0"
            system: { name: s }
            schemas: { doc: { file: schemas/doc.json } }
            components:
              - { name: make, type: Source, uses: tick }
              - { name: work, type: Transformer, uses: { command: [python3, work.py], files: [work.py] }, ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] } }
              - { name: keep, type: Sink, uses: keep }
            bindings: [ { from: make.out, to: work.in }, { from: work.out, to: keep.in } ]
            """;
        foreach (var (path, text) in new[] { ("architecture.yaml", Command + "\n# more"), ("schemas/doc.json", """{"type": "array"}"""), ("work.py", "print(2)") })
        {
            var system = Locked(Command, ("schemas/doc.json", """{"type": "object"}"""), ("work.py", "print(1)"));
            system.With(path, text);
            SystemLock.Verify(system.Load(), system).Findings.Select(f => f.Message).ShouldContain($"{path} has changed; look at it, then: loom harness lock");
        }
    }

    [Fact]
    public void Verify_AProject_IsBoundToItsSourcesAndNotToWhatLiesBeside()
    {
        var text = LoaderTests.Small.Replace("uses: each\n    config: { copies: 3 }", "uses: { class: Acme.Upper, project: src/Acme.csproj }");
        var system = Locked(text, ("src/Acme.csproj", "<Project/>"), ("src/Upper.cs", "class A"), ("src/bin/x.cs", "1"), ("src/out.jsonl", "{}"));
        system.With("src/bin/x.cs", "2").With("src/out.jsonl", "{}{}");
        SystemLock.Verify(system.Load(), system).Findings.ShouldBeEmpty();
        system.With("src/Upper.cs", "class B");
        SystemLock.Verify(system.Load(), system).Findings.ShouldHaveSingleItem().Message.ShouldStartWith("the code of component work has changed");
    }

    [Fact]
    public void Verify_ALockedDeployment_IsAnInput()
    {
        var text = LoaderTests.Small.Replace("policy: { delivery: at_least_once }", "policy: { security: { lock_deployment: true } }");
        var system = Locked(text, ("deployment.yaml", "schema_version: \"1.0.0\"\nenvironment: test\n"));
        system.With("deployment.yaml", "schema_version: \"1.0.0\"\nenvironment: prod\n");
        SystemLock.Verify(system.Load(), system).Findings.ShouldHaveSingleItem().Message.ShouldStartWith("deployment.yaml has changed");
    }

    [Theory]
    [InlineData("block")]
    [InlineData("flow")]
    [InlineData("windows")]
    public void Fix_LonghandBindings_ChecksWithoutAWordAndHasTheSameGraph(string style)
    {
        var longhand = style == "flow"
            ? LoaderTests.Small.Replace("{ from: read.out, to: work.in, buffer: 500 }", "{ from_component: read, buffer: 500, from_port: out, to_port: in, to_component: work } # first")
                .Replace("{ from: work.out, to: [store.in] }", "{from_component: work, from_port: out, to_components: [store], to_port: in, stream_name: last}")
            : LoaderTests.Small.Replace("{ from: read.out, to: work.in, buffer: 500 }", "from_component: read # first\n    from_port: out\n    buffer: 500\n    to_component: work\n    to_port: in")
                .Replace("{ from: work.out, to: [store.in] }", "stream_name: last\n    from_component: work\n    from_port: out\n    to_components:\n      - store\n    to_port: in");
        longhand = style == "windows" ? longhand.Replace("\n", "\r\n") : longhand;
        var before = new MemorySystem(longhand).Load();
        before.Findings.Select(f => f.Code).ShouldBe(["LH110", "LH110"]);
        var after = new MemorySystem().With("architecture.yaml", BindingFix.Apply(Encoding.UTF8.GetBytes(longhand), out var count));
        count.ShouldBe(2);
        after.Lines().ShouldBeEmpty();
        var plan = after.Load().Plan!;
        GraphDocument.Hash(plan).ShouldBe(GraphDocument.Hash(before.Plan!));
        plan.Bindings.Select(b => b.Name).ShouldBe(["read.out->work.in", "last"]);
        plan.Bindings[0].Buffer.ShouldBe(500);
        BindingFix.Apply(Encoding.UTF8.GetBytes(LoaderTests.Small), out count).ShouldBe(Encoding.UTF8.GetBytes(LoaderTests.Small));
        count.ShouldBe(0);
    }

    private static MemorySystem Locked(string text, params (string Path, string Text)[] files)
    {
        var system = new MemorySystem(text) { Environment = { ["PATH"] = "/bin" }, Executables = { "/bin/python3" } };
        foreach (var (path, content) in files)
        {
            system.With(path, content);
        }

        system.Load().Findings.ShouldBeEmpty();
        return system.With(LockContent.FileName, Compute(system).ToBytes());
    }

    private static LockContent Compute(MemorySystem system) => SystemLock.Compute(system.Load(), system, new FindingList())!;
}
