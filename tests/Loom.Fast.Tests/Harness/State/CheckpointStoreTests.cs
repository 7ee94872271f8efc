using System.Text;
using Loom.Components;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.State;

public sealed class CheckpointStoreTests : IAsyncDisposable
{
    private readonly InMemoryState _state = new();
    private readonly ManualTimeProvider _time = new();

    public ValueTask DisposeAsync() => _state.DisposeAsync();

    [Fact]
    public async Task Save_ThenLoadNewest_GivesBackStateVersionsOffsetsAndGraph()
    {
        await using var store = await Open();
        await store.SaveAsync(Draft("g1", "first"), default);
        var saved = await store.SaveAsync(Draft("g2", "second"), default);

        await using var again = await Open();
        var loaded = (await again.LoadNewestAsync()).ShouldNotBeNull();

        loaded.Id.ShouldBe(saved.Id);
        loaded.GraphHash.ShouldBe("g2");
        loaded.OffsetsOf("files").ShouldBe(new Dictionary<string, long> { ["a.md"] = 7, ["b.md"] = long.MaxValue });
        loaded.OffsetsOf("nobody").ShouldBeEmpty();
        (await StateOf(loaded, "count")).ShouldBe((3, "second"));
        (await loaded.StateOfAsync("files", default)).ShouldBeNull();
        again.Quarantined.ShouldBeEmpty();
    }

    [Fact]
    public async Task Save_LargeStateWrittenInOddPieces_IsCutIntoChunksAndComesBackWhole()
    {
        var random = new Random(5);
        var content = new byte[(3 * ChunkWriter.ChunkBytes) + 17];
        random.NextBytes(content);
        await using var store = await Open();
        var info = await store.SaveAsync(
            Draft(async (into, ct) =>
            {
                into.Write(content.AsSpan(0, 2_500_000)); // no chance to wait for the store
                for (var at = 2_500_000; at < content.Length;)
                {
                    var count = Math.Min(random.Next(1, 70_000), content.Length - at);
                    await into.WriteAsync(content.AsMemory(at, count), ct);
                    at += count;
                }
            }),
            default);

        info.Bytes.ShouldBe(content.Length);
        (await _state.ListAsync("ckpt/", default)).ShouldBe(["ckpt/1.1/_manifest", "ckpt/1.1/count", "ckpt/1.1/count.1", "ckpt/1.1/count.2", "ckpt/1.1/count.3"]);
        var loaded = (await store.LoadNewestAsync()).ShouldNotBeNull();
        using var read = new MemoryStream();
        await (await loaded.StateOfAsync("count", default))!.Content.CopyToAsync(read);
        read.ToArray().ShouldBe(content);
    }

    [Fact]
    public async Task Save_ManyOffsets_TheManifestItselfIsCutAndComesBack()
    {
        await using var store = await Open();
        var offsets = Enumerable.Range(0, 40_000).ToDictionary(i => $"docs/a-rather-long-name-of-a-file-{i}.md", i => (long)i);
        await store.SaveAsync(new CheckpointDraft("g", [new CheckpointPart("files", 1, 0, offsets, null)]), default);

        (await _state.GetAsync("ckpt/1.1/_manifest.1", default)).ShouldNotBeNull();
        (await store.LoadNewestAsync())!.OffsetsOf("files").ShouldBe(offsets);
    }

    [Fact]
    public async Task Save_WriterFails_NothingOfItIsLeftAndTheOneBeforeIsUsed()
    {
        await using var store = await Open();
        await store.SaveAsync(Draft("g", "good"), default);
        var before = await _state.ListAsync("", default);

        await Should.ThrowAsync<IOException>(() => store.SaveAsync(
            Draft(async (into, ct) =>
            {
                await into.WriteAsync(new byte[2 * ChunkWriter.ChunkBytes], ct);
                throw new IOException("the component broke");
            }),
            default));

        (await _state.ListAsync("", default)).ShouldBe(before);
        (await StateOf((await store.LoadNewestAsync())!, "count")).Text.ShouldBe("good");
        (await store.SaveAsync(Draft("g", "later"), default)).Id.ShouldBe(new CheckpointId(1, 3)); // numbers are never given twice
    }

    [Fact]
    public async Task Save_MoreThanKeep_OldestOfThisLineageAreRemovedAfterTheCommit()
    {
        await using (var earlier = await Open())
        {
            await earlier.SaveAsync(Draft("g", "a"), default);
            await earlier.SaveAsync(Draft("g", "b"), default);
        }

        await using var store = await Open(fresh: true, new CheckpointOptions { Keep = 3 });
        for (var i = 0; i < 5; i++)
        {
            await store.SaveAsync(Draft("g", $"c{i}"), default);
        }

        (await Ids(store)).ShouldBe(["2.7", "2.6", "2.5", "1.2", "1.1"]);
    }

    [Fact]
    public async Task Open_Fresh_NeitherUsesNorTouchesWhatIsThere()
    {
        await using (var earlier = await Open())
        {
            await earlier.SaveAsync(Draft("g", "old"), default);
        }

        var old = await Contents("ckpt/1.1/");
        await using (var store = await Open(fresh: true, new CheckpointOptions { Keep = 1 }))
        {
            (await store.LoadNewestAsync()).ShouldBeNull();
            store.Candidates.ShouldBe(0);
            await store.SaveAsync(Draft("g", "new"), default);
            await store.SaveAsync(Draft("g", "newer"), default);
        }

        (await Contents("ckpt/1.1/")).ShouldBe(old);

        // Also the next run, even one that finds its own lineage empty, leaves the old one alone.
        await _state.DeleteAsync(await _state.ListAsync("ckpt/2.", default), default);
        await using var next = await Open();
        (await next.LoadNewestAsync()).ShouldBeNull();
        next.Lineage.ShouldBe(2);
    }

    [Fact]
    public async Task Open_AfterFallback_OlderLineageIsKeptAndUsedOnlyWhenNothingNewerCanBe()
    {
        await using (var earlier = await Open())
        {
            await earlier.SaveAsync(Draft("g", "before"), default);
        }

        await using (var back = new CheckpointStore(_state, "sys", new CheckpointOptions { Keep = 1 }, _time, NullLogger.Instance))
        {
            await back.OpenAfterFallbackAsync(fresh: false, default);
            await back.SaveAsync(Draft("g", "after"), default);
        }

        await using var store = await Open();
        (await StateOf((await store.LoadNewestAsync())!, "count")).Text.ShouldBe("after");
        await _state.DeleteAsync(["ckpt/2.2/count"], default);
        (await StateOf((await store.LoadNewestAsync())!, "count")).Text.ShouldBe("before");
        store.Quarantined.ShouldHaveSingleItem().Reason!.ShouldContain("chunk 1 of 1 of the state of count is missing");
    }

    [Fact]
    public async Task ResumeFrom_OlderCheckpoint_WhatCameAfterItNoLongerCounts()
    {
        await using (var earlier = await Open())
        {
            for (var i = 1; i <= 4; i++)
            {
                await earlier.SaveAsync(Draft("g", $"s{i}"), default);
            }

            (await earlier.LoadAsync(new CheckpointId(1, 2))).ShouldNotBeNull();
            await earlier.ResumeFromAsync(new CheckpointId(1, 2), default);
        }

        await using (var store = await Open())
        {
            (await StateOf((await store.LoadNewestAsync())!, "count")).Text.ShouldBe("s2");
            (await store.SaveAsync(Draft("g", "s2b"), default)).Id.ToString().ShouldBe("2.5");
        }

        await using var next = await Open();
        (await StateOf((await next.LoadNewestAsync())!, "count")).Text.ShouldBe("s2b");
        (await Ids(next)).ShouldBe(["2.5", "1.4", "1.3", "1.2", "1.1"]);
    }

    [Fact]
    public async Task Save_TimeToLive_RemovesWhatIsOlderExceptTheNewest()
    {
        await using var store = await Open(options: new CheckpointOptions { TimeToLive = TimeSpan.FromHours(1) });
        await store.SaveAsync(Draft("g", "a"), default);
        _time.Advance(TimeSpan.FromMinutes(59));
        await store.SaveAsync(Draft("g", "b"), default);
        (await Ids(store)).ShouldBe(["1.2", "1.1"]);

        _time.Advance(TimeSpan.FromHours(5));
        (await Ids(store)).ShouldBe(["1.2", "1.1"]); // nothing goes without a successor
        await store.SaveAsync(Draft("g", "c"), default);

        (await Ids(store)).ShouldBe(["1.3"]);
    }

    [Fact]
    public async Task Load_HalfWrittenNewest_IsSetAsideAndTheOlderOneUsed()
    {
        await using var store = await Open();
        await store.SaveAsync(Draft("g", "whole"), default);
        await _state.PutAsync("ckpt/1.2/count", "half"u8.ToArray(), default);
        (await store.ListAsync())[0].Status.ShouldBe(CheckpointStatus.Unfinished);

        await using var next = await Open();
        (await StateOf((await next.LoadNewestAsync())!, "count")).Text.ShouldBe("whole");

        next.Quarantined.ShouldHaveSingleItem().Id.ToString().ShouldBe("1.2");
        (await next.ListAsync())[0].Status.ShouldBe(CheckpointStatus.Quarantined);
        (await next.SaveAsync(Draft("g", "next"), default)).Id.ToString().ShouldBe("1.3");
    }

    [Fact]
    public async Task Component_NamesAnotherAdapter_ItsStateGoesThereAndIsPrunedThere()
    {
        var other = new InMemoryState();
        await using var store = new CheckpointStore(
            _state, "sys", new CheckpointOptions { Keep = 1 }, _time, NullLogger.Instance, new Dictionary<string, IStateAdapter> { ["count"] = other });
        await store.OpenAsync(fresh: false);
        await store.SaveAsync(Draft("g", "one"), default);
        await store.SaveAsync(Draft("g", "two"), default);

        (await other.ListAsync("", default)).ShouldBe(["ckpt/1.2/count"]);
        (await _state.ListAsync("ckpt/", default)).ShouldBe(["ckpt/1.2/_manifest"]);
        (await StateOf((await store.LoadNewestAsync())!, "count")).Text.ShouldBe("two");
    }

    [Fact]
    public async Task Store_CannotBeRead_SaysSoInsteadOfBlamingTheCheckpoint()
    {
        await using var store = await Open();
        await store.SaveAsync(Draft("g", "x"), default);
        var away = new AwayState(_state);
        await using var other = new CheckpointStore(away, "sys", new CheckpointOptions(), _time, NullLogger.Instance);
        await other.OpenAsync(fresh: false);
        away.IsAway = true;

        await Should.ThrowAsync<IOException>(() => other.LoadNewestAsync());
        await Should.ThrowAsync<IOException>(() => other.SaveAsync(Draft("g", "y"), default));
        away.IsAway = false;

        (await StateOf((await other.LoadNewestAsync())!, "count")).Text.ShouldBe("x");
        other.Quarantined.ShouldBeEmpty();
        (await other.SaveAsync(Draft("g", "z"), default)).Id.Number.ShouldBe(3);
    }

    private async Task<CheckpointStore> Open(bool fresh = false, CheckpointOptions? options = null)
    {
        var store = new CheckpointStore(_state, "sys", options ?? new CheckpointOptions(), _time, NullLogger.Instance);
        await store.OpenAsync(fresh);
        return store;
    }

    internal static CheckpointDraft Draft(string graph, string state) =>
        new(graph, Draft((into, ct) => into.WriteAsync(Encoding.UTF8.GetBytes(state), ct)).Parts);

    private static CheckpointDraft Draft(StateWriter write) => new(
        "g",
        [
            new CheckpointPart("files", 1, 0, new Dictionary<string, long> { ["a.md"] = 7, ["b.md"] = long.MaxValue }, null),
            new CheckpointPart("count", 2, 3, new Dictionary<string, long>(), write),
        ]);

    internal static async Task<(int Version, string Text)> StateOf(LoadedCheckpoint loaded, string component)
    {
        var state = (await loaded.StateOfAsync(component, default)).ShouldNotBeNull();
        using var reader = new StreamReader(state.Content);
        return (state.Version, await reader.ReadToEndAsync());
    }

    private static async Task<string[]> Ids(CheckpointStore store) => [.. (await store.ListAsync()).Select(c => c.Id.ToString())];

    private async Task<string[]> Contents(string prefix)
    {
        var all = new List<string>();
        foreach (var key in await _state.ListAsync(prefix, default))
        {
            all.Add($"{key}={Convert.ToHexString((await _state.GetAsync(key, default))!)}");
        }

        return [.. all];
    }

    private sealed class AwayState(IStateAdapter inner) : IStateAdapter
    {
        public bool IsAway { get; set; }

        public string Name => inner.Name;

        public StateDurability Durability => inner.Durability;

        public string Describe() => inner.Describe();

        public ValueTask OpenAsync(CancellationToken ct) => Inner.OpenAsync(ct);

        public ValueTask PutAsync(string key, ReadOnlyMemory<byte> value, CancellationToken ct) => Inner.PutAsync(key, value, ct);

        public ValueTask<byte[]?> GetAsync(string key, CancellationToken ct) => Inner.GetAsync(key, ct);

        public ValueTask<IReadOnlyList<string>> ListAsync(string prefix, CancellationToken ct) => Inner.ListAsync(prefix, ct);

        public ValueTask DeleteAsync(IReadOnlyList<string> keys, CancellationToken ct) => Inner.DeleteAsync(keys, ct);

        public ValueTask DisposeAsync() => default;

        private IStateAdapter Inner => IsAway ? throw new IOException("the store is away") : inner;
    }
}
