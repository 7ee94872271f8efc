using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.State;

public sealed class CheckpointDamageTests
{
    // The drill "corrupted checkpoint": each case damages one value of the newest checkpoint in one way.
    [Fact]
    public async Task Load_OneThousandDamagedCheckpoints_EachIsDetectedAndTheOlderOneUsed()
    {
        var random = new Random(20_251_122);
        var (detected, kinds) = (0, new Dictionary<string, int>());
        for (var i = 0; i < 1000; i++)
        {
            var state = new InMemoryState();
            await using var store = new CheckpointStore(state, "sys", new CheckpointOptions(), new ManualTimeProvider(), NullLogger.Instance);
            await store.OpenAsync(fresh: false);
            await store.SaveAsync(CheckpointStoreTests.Draft("g", "older"), default);
            var newest = await store.SaveAsync(CheckpointStoreTests.Draft("g", $"newest {new string('x', random.Next(2000))}"), default);
            var kind = await DamageAsync(state, new CheckpointKeys(newest.Id), random);
            kinds[kind] = kinds.GetValueOrDefault(kind) + 1;

            (await store.VerifyAsync())[0].Status.ShouldBeOneOf(CheckpointStatus.Damaged, CheckpointStatus.Unfinished);
            var loaded = (await store.LoadNewestAsync()).ShouldNotBeNull();
            (await CheckpointStoreTests.StateOf(loaded, "count")).Text.ShouldBe("older", $"case {i}: {kind}");
            var set = store.Quarantined.ShouldHaveSingleItem();
            set.Id.ShouldBe(newest.Id);
            set.Reason.ShouldNotBeNullOrEmpty();
            detected++;
        }

        detected.ShouldBe(1000);
        kinds.Count.ShouldBe(7, string.Join(", ", kinds.Select(k => $"{k.Key}: {k.Value}")));
    }

    [Fact]
    public async Task Load_LineageRecordDamaged_NothingBeforeItIsUsed()
    {
        var state = new InMemoryState();
        await using var store = new CheckpointStore(state, "sys", new CheckpointOptions(), new ManualTimeProvider(), NullLogger.Instance);
        await store.OpenAsync(fresh: false);
        await store.SaveAsync(CheckpointStoreTests.Draft("g", "given up"), default);
        await store.OpenAsync(fresh: true);
        var record = (await state.GetAsync("lineage/2", default))!;
        for (var bit = 0; bit < record.Length * 8; bit++)
        {
            var damaged = (byte[])record.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            await state.PutAsync("lineage/2", damaged, default);
            (await store.LoadNewestAsync()).ShouldBeNull($"bit {bit}");
        }
    }

    [Fact]
    public async Task Load_ManifestOfAnotherCheckpointInItsPlace_IsDetected()
    {
        var state = new InMemoryState();
        await using var store = new CheckpointStore(state, "sys", new CheckpointOptions(), new ManualTimeProvider(), NullLogger.Instance);
        await store.OpenAsync(fresh: false);
        await store.SaveAsync(CheckpointStoreTests.Draft("g", "older"), default);
        await store.SaveAsync(CheckpointStoreTests.Draft("g", "newer"), default);
        foreach (var name in new[] { "_manifest", "count" })
        {
            await state.PutAsync($"ckpt/1.2/{name}", await state.GetAsync($"ckpt/1.1/{name}", default), default);
        }

        (await store.LoadNewestAsync())!.Id.ToString().ShouldBe("1.1");
        store.Quarantined.ShouldHaveSingleItem().Reason!.ShouldContain("belongs to checkpoint 1.1");
    }

    private static async Task<string> DamageAsync(InMemoryState state, CheckpointKeys keys, Random random)
    {
        var manifest = random.Next(2) == 0;
        var key = manifest ? keys.Manifest : keys.Chunk("count", 0);
        var what = manifest ? "manifest" : "chunk";
        var value = (await state.GetAsync(key, default)).ShouldNotBeNull();
        switch (random.Next(manifest ? 4 : 3))
        {
            case 0:
                value[random.Next(value.Length)] ^= (byte)(1 << random.Next(8));
                await state.PutAsync(key, value, default);
                return $"{what}: bit";
            case 1:
                await state.PutAsync(key, value.AsMemory(0, random.Next(value.Length)), default);
                return $"{what}: truncated";
            case 2:
                await state.DeleteAsync([key], default);
                return $"{what}: missing";
            default:
                await state.PutAsync(key, (byte[])[.. value, (byte)random.Next(256)], default);
                return $"{what}: longer";
        }
    }
}
