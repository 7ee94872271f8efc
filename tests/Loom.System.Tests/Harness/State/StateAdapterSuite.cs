using Loom.Components;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.State;

/// <summary>What every state adapter must do; whoever writes another one derives from this.</summary>
public abstract class StateAdapterSuite : IAsyncLifetime
{
    public abstract ValueTask InitializeAsync();

    public abstract ValueTask DisposeAsync();

    /// <summary>An adapter on the same store each time, not opened.</summary>
    internal abstract IStateAdapter Make();

    [Fact]
    public async Task Put_ThenGet_GivesTheLatestValueAndNullForNoKey()
    {
        await using var state = await Open();
        await state.PutAsync("a/b.1_c-d", "one"u8.ToArray(), default);
        await state.PutAsync("a/b.1_c-d", "two"u8.ToArray(), default);
        await state.PutAsync("a/empty", default, default);

        (await state.GetAsync("a/b.1_c-d", default)).ShouldBe("two"u8.ToArray());
        (await state.GetAsync("a/empty", default)).ShouldBe([]);
        (await state.GetAsync("a/b.1_c", default)).ShouldBeNull();
    }

    [Fact]
    public async Task Put_LargestValueAndAllBytes_ComesBackTheSame()
    {
        await using var state = await Open();
        var value = new byte[1024 * 1024];
        new Random(1).NextBytes(value);
        await state.PutAsync("big", value, default);
        (await state.GetAsync("big", default)).ShouldBe(value);

        await Should.ThrowAsync<ArgumentException>(async () => await state.PutAsync("bigger", new byte[(1024 * 1024) + 1], default));
        await Should.ThrowAsync<ArgumentException>(async () => await state.PutAsync("not a key", value, default));
    }

    [Fact]
    public async Task Put_BufferIsUsedAgainAtOnce_TheStoredValueStays()
    {
        await using var state = await Open();
        var buffer = new byte[100_000];
        for (var i = 0; i < 20; i++)
        {
            Array.Fill(buffer, (byte)i);
            await state.PutAsync($"k/{i:00}", buffer, default);
        }

        for (var i = 0; i < 20; i++)
        {
            (await state.GetAsync($"k/{i:00}", default)).ShouldBe(Enumerable.Repeat((byte)i, buffer.Length));
        }
    }

    [Fact]
    public async Task List_Prefix_IsExactCompleteAndOrdinal()
    {
        await using var state = await Open();
        string[] keys = ["ckpt/1.10/a", "ckpt/1.2/_m", "ckpt/1.2/a", "ckpt/1.2/a.1", "ckpt/1.20/a", "ckptx/1", "Ckpt/1.2/a", "lineage/1"];
        foreach (var key in keys.Reverse())
        {
            await state.PutAsync(key, "v"u8.ToArray(), default);
        }

        (await state.ListAsync("ckpt/1.2/", default)).ShouldBe(["ckpt/1.2/_m", "ckpt/1.2/a", "ckpt/1.2/a.1"]);
        (await state.ListAsync("", default)).ShouldBe(keys.Order(StringComparer.Ordinal));
        (await state.ListAsync("ckpt/3", default)).ShouldBeEmpty();
    }

    [Fact]
    public async Task List_ManyKeys_MissesNone()
    {
        await using var state = await Open();
        var keys = Enumerable.Range(0, 3000).Select(i => $"many/{i:0000}").ToArray();
        foreach (var some in keys.Chunk(100))
        {
            await Task.WhenAll(some.Select(k => state.PutAsync(k, "v"u8.ToArray(), default).AsTask()));
        }

        (await state.ListAsync("many/", default)).ShouldBe(keys);
        await state.DeleteAsync(keys[1..], default);
        (await state.ListAsync("many/", default)).ShouldBe(keys[..1]);
    }

    [Fact]
    public async Task Delete_KeysThatAreThereAndNot_RemovesExactlyThose()
    {
        await using var state = await Open();
        await state.PutAsync("x/1", "1"u8.ToArray(), default);
        await state.PutAsync("x/2", "2"u8.ToArray(), default);

        await state.DeleteAsync(["x/1", "x/3"], default);
        await state.DeleteAsync([], default);

        (await state.ListAsync("x/", default)).ShouldBe(["x/2"]);
    }

    [Fact]
    public async Task Call_Cancelled_EndsAndTheAdapterGoesOn()
    {
        await using var state = await Open();
        await Should.ThrowAsync<OperationCanceledException>(async () => await state.PutAsync("c/1", "1"u8.ToArray(), new CancellationToken(canceled: true)));
        await state.PutAsync("c/2", "2"u8.ToArray(), default);
        (await state.ListAsync("c/", default)).ShouldBe(["c/2"]);
    }

    [Fact]
    public async Task Open_Twice_IsHarmless()
    {
        await using var state = await Open();
        await state.PutAsync("o", "1"u8.ToArray(), default);
        await state.OpenAsync(default);
        (await state.GetAsync("o", default)).ShouldNotBeNull();
        state.Describe().ShouldNotBeNullOrEmpty();
    }

    [Fact]
    public async Task Reopen_ByDurability_KeepsWhatItPromises()
    {
        StateDurability durability;
        await using (var state = await Open())
        {
            durability = state.Durability;
            await state.PutAsync("kept", "1"u8.ToArray(), default);
        }

        await using var again = await Open();
        (await again.GetAsync("kept", default) is not null).ShouldBe(durability != StateDurability.Process);
    }

    [Fact]
    public async Task Checkpoints_SavedLoadedPrunedVerified_WorkOnIt()
    {
        await using var store = new CheckpointStore(Make(), "suite", new CheckpointOptions { Keep = 2 }, TimeProvider.System, NullLogger.Instance);
        await store.OpenAsync(fresh: false);
        var content = new byte[2_500_000];
        new Random(2).NextBytes(content);
        for (var i = 0; i < 4; i++)
        {
            content[0] = (byte)i;
            await store.SaveAsync(
                new CheckpointDraft("g", [new CheckpointPart("c", 1, 1, new Dictionary<string, long> { ["p"] = i }, (into, ct) => into.WriteAsync(content, ct))]), default);
        }

        var all = await store.VerifyAsync();
        all.Select(c => (c.Id.ToString(), c.Status)).ShouldBe([("1.4", CheckpointStatus.Complete), ("1.3", CheckpointStatus.Complete)]);
        var loaded = (await store.LoadNewestAsync()).ShouldNotBeNull();
        using var read = new MemoryStream();
        await (await loaded.StateOfAsync("c", default))!.Content.CopyToAsync(read);
        read.ToArray().ShouldBe(content);
        loaded.OffsetsOf("c")["p"].ShouldBe(3);
    }

    private async Task<IStateAdapter> Open()
    {
        var state = Make();
        await state.OpenAsync(default);
        return state;
    }
}

public sealed class InMemoryStateTests : StateAdapterSuite
{
    public override ValueTask InitializeAsync() => default;

    public override ValueTask DisposeAsync() => default;

    internal override IStateAdapter Make() => new InMemoryState();
}

public sealed class SqliteStateTests : StateAdapterSuite
{
    private readonly TempFolder _folder = new();

    public override ValueTask InitializeAsync() => default;

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return default;
    }

    internal override IStateAdapter Make() => new SqliteState(Path.Combine(_folder["harness"], "state.db"), TimeProvider.System);

    [Fact]
    public async Task Open_NewFile_IsForItsOwnerAloneAndFlushedAtEveryCommit()
    {
        await using var state = Make();
        await state.OpenAsync(default);
        await state.PutAsync("k", "v"u8.ToArray(), default);

        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        foreach (var file in Directory.GetFiles(_folder["harness"]))
        {
            File.GetUnixFileMode(file).ShouldBe(OwnerOnly, file);
        }

        Directory.GetFiles(_folder["harness"]).Select(Path.GetFileName).ShouldContain("state.db-wal");
    }

    [Fact]
    public async Task Open_FileIsNoDatabase_IsSetAsideAndTheStoreBeginsAnew()
    {
        Directory.CreateDirectory(_folder["harness"]);
        await File.WriteAllTextAsync(Path.Combine(_folder["harness"], "state.db"), new string('x', 10_000));

        await using var store = new CheckpointStore(Make(), "s", new CheckpointOptions(), TimeProvider.System, NullLogger.Instance);
        await store.OpenAsync(fresh: false);

        store.SetAside.ShouldNotBeNull().ShouldContain("is damaged");
        Directory.GetFiles(_folder["harness"], "state.db.broken-*").ShouldNotBeEmpty();
        await store.SaveAsync(new CheckpointDraft("g", []), default);
        (await store.LoadNewestAsync()).ShouldNotBeNull();
    }

    [Fact]
    public async Task Open_FolderCannotBeMade_SaysWhere()
    {
        await File.WriteAllTextAsync(_folder["harness"], "a file in the way");
        await using var state = Make();
        (await Should.ThrowAsync<IOException>(async () => await state.OpenAsync(default))).Message.ShouldContain("harness");
    }
}

public sealed class RedisStateTests : StateAdapterSuite
{
    private RedisServer _redis = null!;

    public override async ValueTask InitializeAsync() => _redis = await RedisServer.StartAsync();

    public override ValueTask DisposeAsync() => _redis.DisposeAsync();

    internal override IStateAdapter Make() => Make("suite");

    [Fact]
    public async Task Put_Key_HasTheNameTheSpecificationGives()
    {
        await using var state = Make("rag");
        await state.OpenAsync(default);
        await state.PutAsync("ckpt/1.7/chunk", "v"u8.ToArray(), default);

        await using var cli = Child.Start("/", ["redis-cli", "-p", $"{_redis.Port}", "keys", "*"]);
        await cli.Exited.WaitAsync(TimeSpan.FromSeconds(120));
        await Deadline.Until(() => cli.Output.Trim() == "loom:{rag}:ckpt:1.7:chunk", $"the key: {cli.Output}");
    }

    [Fact]
    public async Task List_OtherSystems_AreNotSeen()
    {
        await using var one = Make("one");
        await using var two = Make("two");
        await one.OpenAsync(default);
        await two.OpenAsync(default);
        await one.PutAsync("k/1", "v"u8.ToArray(), default);

        (await two.ListAsync("", default)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Describe_SaysWhatTheServerPromises()
    {
        await using var state = Make("d");
        await state.OpenAsync(default);
        state.Describe().ShouldBe($"Redis redis://127.0.0.1:{_redis.Port}/0, appendonly yes, appendfsync always, maxmemory-policy noeviction: "
            + "a confirmed checkpoint survives a crash of Redis and of its machine");
        ((IStateWarnings)state).Warnings.ShouldBeEmpty();
    }

    [Fact]
    public async Task Call_ServerFrozen_EndsByItsDeadlineAndTheNextOneWorksAgain()
    {
        await using var state = Make("f", seconds: 3);
        await state.OpenAsync(default);
        await state.PutAsync("k", "v"u8.ToArray(), default);

        _redis.Signal(19);
        try
        {
            (await Should.ThrowAsync<IOException>(async () => await state.GetAsync("k", default).AsTask().WaitAsync(TimeSpan.FromSeconds(120)))).Message.ShouldContain("did not answer");
            await Should.ThrowAsync<IOException>(async () => await state.GetAsync("k", default).AsTask().WaitAsync(TimeSpan.FromSeconds(120)));
        }
        finally
        {
            _redis.Signal(18);
        }

        (await state.GetAsync("k", default)).ShouldBe("v"u8.ToArray());
    }

    [Fact]
    public async Task Call_ServerKilledAndBack_FindsEverythingConfirmed()
    {
        await using var state = Make("k");
        await state.OpenAsync(default);
        for (var round = 0; round < 3; round++)
        {
            await state.PutAsync($"k/{round}", "v"u8.ToArray(), default);
            await _redis.KillAsync();
            await Should.ThrowAsync<IOException>(async () => await state.PutAsync("lost", "v"u8.ToArray(), default).AsTask().WaitAsync(TimeSpan.FromSeconds(120)));
            await _redis.StartAgainAsync();
            (await state.ListAsync("k/", default)).Count.ShouldBe(round + 1);
        }
    }

    [Fact]
    public async Task Put_RedisIsFull_IsRefusedInItsOwnWordsAndTheConnectionStays()
    {
        await using var full = await RedisServer.StartAsync("--maxmemory", "3mb", "--maxmemory-policy", "noeviction");
        await using var state = new RedisState(RedisUrl.Parse(full.Url), "m", TimeSpan.FromSeconds(30), TimeProvider.System);
        await state.OpenAsync(default);

        var error = await Should.ThrowAsync<IOException>(async () =>
        {
            for (var i = 0; i < 20; i++)
            {
                await state.PutAsync($"m/{i}", new byte[900_000], default);
            }
        });
        error.Message.ShouldContain("OOM");
        await state.DeleteAsync(await state.ListAsync("", default), default);
        await state.PutAsync("m/1", new byte[900_000], default);
    }

    // Every write is flushed to a disk that others use, too.
    private RedisState Make(string system, int seconds = 30) => new(RedisUrl.Parse(_redis.Url), system, TimeSpan.FromSeconds(seconds), TimeProvider.System);
}
