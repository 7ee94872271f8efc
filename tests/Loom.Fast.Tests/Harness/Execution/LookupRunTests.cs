using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class LookupRunTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(16, 4)]
    public async Task Run_PutThenGetOverOneStore_InOrderAndComplete(int concurrency, int buffer)
    {
        var kept = new Kept();
        var kit = new RunKit();
        var result = await kit.RunAsync(new HarnessBuilder("lookups")
            .Add("numbers", () => new Numbers(2000))
            .Add("put", () => new LookupTransformer(new LookupOptions { Op = StoreOp.Put, Key = Expression.Compile("data"), Value = Expression.Compile("data * 2") }), p => p with { Concurrency = concurrency })
            .Add("get", () => new LookupTransformer(new LookupOptions { Key = Expression.Compile("data"), Into = "twice" }), p => p with { Concurrency = concurrency })
            .Add("store", () => new StoreComponent(new StoreOptions(), TimeProvider.System))
            .Add("sink", () => kept)
            .Bind("numbers.out", "put.in")
            .Bind("put.out", "get.in")
            .Bind("put.store", "store.in", b => b with { Buffer = buffer })
            .Bind("get.store", "store.in", b => b with { Buffer = buffer })
            .Bind("get.out", "sink.in"));
        result.ExitCode.ShouldBe(RunResult.Ended, result.Reason);
        kit.Failures.ShouldBeEmpty();
        kept.Values.ShouldBe(Enumerable.Range(0, 2000).Select(i => i * 2));
    }

    [Fact]
    public async Task Run_NothingAnswers_SetupSaysSo()
    {
        var result = await new RunKit().RunAsync(new HarnessBuilder("lookups")
            .Add("numbers", () => new Numbers(1))
            .Add("get", () => new LookupTransformer(new LookupOptions { Key = Expression.Compile("data") }))
            .Add("sink", () => new Kept())
            .Bind("numbers.out", "get.in")
            .Bind("get.out", "sink.in"));
        result.ExitCode.ShouldBe(RunResult.Failed);
        result.Reason.ShouldContain("bound to nothing that answers");
    }

    private sealed class Kept : Sink<JsonElement>
    {
        public List<int> Values { get; } = [];

        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
        {
            Values.Add(e.Data.GetProperty("twice").GetInt32());
            return default;
        }
    }
}
