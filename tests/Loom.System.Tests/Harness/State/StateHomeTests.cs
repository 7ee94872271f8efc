using System.Text;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.State;

public sealed class StateHomeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Open_RedisAway_RunsInMemoryAndTakesAFullCheckpointInANewLineageOnReturn()
    {
        await using var redis = RedisServer.Later();
        await redis.StartAgainAsync();
        await using (var earlier = await Open(Redis(redis)))
        {
            await earlier.Store.SaveAsync(Draft("of the earlier run"), default);
        }

        await redis.KillAsync();
        await using var home = await Open(Redis(redis, keep: 1));
        home.Fallback.ShouldNotBeNull().ShouldContain("cannot be reached");
        home.Notices.ShouldContain(n => n.StartsWith("state is kept IN MEMORY", StringComparison.Ordinal));
        home.Resumed.ShouldBeNull();
        (await home.Store.SaveAsync(Draft("in memory"), default)).Status.ShouldBe(CheckpointStatus.Complete);

        var returned = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        home.WhenReturned(() => returned.TrySetResult());
        await redis.StartAgainAsync();
        await returned.Task.WaitAsync(TimeSpan.FromSeconds(120));

        home.Fallback.ShouldBeNull();
        (await home.Store.SaveAsync(Draft("full"), default)).Id.ToString().ShouldBe("2.2");
        (await home.Store.SaveAsync(Draft("fuller"), default)).Id.ToString().ShouldBe("2.3");
        (await home.Store.VerifyAsync()).Select(c => (c.Id.ToString(), c.Status)).ShouldBe([("2.3", CheckpointStatus.Complete), ("1.1", CheckpointStatus.Complete)]);

        await using var next = await Open(Redis(redis));
        next.Resumed.ShouldNotBeNull().Id.ToString().ShouldBe("2.3");
    }

    [Fact]
    public async Task Open_RedisAwayAndRequired_RefusesWithExitCode6()
    {
        await using var redis = RedisServer.Later();
        var error = await Should.ThrowAsync<StateRequiredException>(() => Open(Redis(redis, required: true)));
        error.Message.ShouldStartWith("LH705: the state store cannot be used and state.required is set");
        StateRequiredException.ExitCode.ShouldBe(6);
    }

    [Fact]
    public void Codes_OfState_StandOnThePage()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "reference", "harness-codes.md"));
        string[] codes = [StateCodes.ComponentGone, StateCodes.NoSuchCheckpoint, StateCodes.CheckpointUnusable, StateCodes.StoreUnusable, StateCodes.NoneUsable];
        codes.ShouldAllBe(c => page.Contains($"| {c} |", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_EveryCheckpointDamaged_StartsEmptyLoudlyOrRefusesEachTime()
    {
        var choice = StateChoice.Of(new StatePlan(), new Dictionary<string, StatePlan>(), new StateSettings());
        await using (var home = await Open(choice))
        {
            await home.Store.SaveAsync(Draft("a"), default);
            await home.Store.SaveAsync(Draft("b"), default);
            await home.Store.Adapter.DeleteAsync(["ckpt/1.1/c", "ckpt/1.2/c"], default);
        }

        for (var attempt = 0; attempt < 2; attempt++)
        {
            (await Should.ThrowAsync<StateRequiredException>(() => Open(choice with { Required = true }))).Message
                .ShouldBe("LH706: none of 2 checkpoints can be used, and state.required is set; --fresh begins anew");
        }

        await using var empty = await Open(choice);
        empty.Resumed.ShouldBeNull();
        empty.Notices.ShouldContain("starting with EMPTY state: none of 2 checkpoints can be used");
    }

    [Fact]
    public async Task Open_FromACheckpoint_GoesOnFromThatOne()
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = "sqlite_snapshot" }, new Dictionary<string, StatePlan>(), new StateSettings());
        await using (var home = await Open(choice))
        {
            await home.Store.SaveAsync(Draft("a"), default);
            await home.Store.SaveAsync(Draft("b"), default);
        }

        await using (var home = await Open(choice, new StateStart(From: new CheckpointId(1, 1))))
        {
            home.Resumed!.Id.ToString().ShouldBe("1.1");
            home.Store.Lineage.ShouldBe(2);
        }

        await using var next = await Open(choice);
        next.Resumed!.Id.ToString().ShouldBe("1.1");
        (await Should.ThrowAsync<StateRequiredException>(() => Open(choice, new StateStart(From: new CheckpointId(1, 9))))).Message
            .ShouldBe("LH703: there is no checkpoint 1.9; loom harness checkpoints lists what there is");
        await next.Store.Adapter.DeleteAsync(["ckpt/1.2/c"], default);
        (await Should.ThrowAsync<StateRequiredException>(() => Open(choice, new StateStart(From: new CheckpointId(1, 2))))).Message
            .ShouldStartWith("LH704: checkpoint 1.2 cannot be used: ");
    }

    [Fact]
    public async Task Open_SqliteFileDamagedAnywhere_NeverGivesAWrongState()
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = "sqlite_snapshot" }, new Dictionary<string, StatePlan>(), new StateSettings());
        await using (var home = await Open(choice))
        {
            await home.Store.SaveAsync(Draft("older " + new string('o', 20_000)), default);
            await home.Store.SaveAsync(Draft("newer " + new string('n', 20_000)), default);
        }

        var good = await File.ReadAllBytesAsync(_folder["state.db"]);
        var random = new Random(7);
        var used = new Dictionary<string, int>();
        for (var i = 0; i < 60; i++)
        {
            var bytes = (byte[])good.Clone();
            foreach (var old in Directory.GetFiles(_folder.Path))
            {
                File.Delete(old);
            }

            if (i % 3 == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }
            else
            {
                for (var hits = i % 3 == 1 ? 1 : 200; hits > 0; hits--)
                {
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                }
            }

            await File.WriteAllBytesAsync(_folder["state.db"], bytes);
            await using var home = await Open(choice);
            var found = home.Resumed is { } resumed ? await TextOf(resumed) : home.Fallback is null ? "empty" : "memory";
            found.ShouldBeOneOf("older " + new string('o', 20_000), "newer " + new string('n', 20_000), "empty", "memory");
            used[found[..5]] = used.GetValueOrDefault(found[..5]) + 1;
        }

        used.GetValueOrDefault("empty").ShouldBeGreaterThan(0);
        used.GetValueOrDefault("newer").ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Open_StateOfAComponentThatIsGone_IsRefusedUntilItIsGivenUpByName()
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = "sqlite_snapshot" }, new Dictionary<string, StatePlan>(), new StateSettings());
        await using (var home = await Open(choice))
        {
            await home.Store.SaveAsync(Draft("a"), default);
            await home.Store.SaveAsync(Draft("b"), default);
        }

        StateStart Start(params string[] dropped) => new(From: new CheckpointId(1, 1)) { Accept = c => GraphChange.Check(c.Id, c.Parts, [], [], dropped) };
        (await Should.ThrowAsync<StateRequiredException>(() => Open(choice, Start()))).Message
            .ShouldBe("LH702: checkpoint 1.1 holds the state of \"c\", and the system has no such component any more; --drop-state c gives it up, --fresh begins anew");
        await using (var plain = await Open(choice))
        {
            plain.Resumed!.Id.ToString().ShouldBe("1.2"); // the refused run has begun nothing
        }

        await using var given = await Open(choice, Start("c"));
        given.Resumed!.Id.ToString().ShouldBe("1.1");
    }

    private static StateChoice Redis(RedisServer redis, bool required = false, int keep = 10) => StateChoice.Of(
        new StatePlan { RedisUrl = redis.Url, Required = required, Keep = keep }, new Dictionary<string, StatePlan>(), new StateSettings());

    private static CheckpointDraft Draft(string text) =>
        new("g", [new CheckpointPart("c", 1, 1, new Dictionary<string, long>(), (into, ct) => into.WriteAsync(Encoding.UTF8.GetBytes(text), ct))]);

    private static async Task<string> TextOf(LoadedCheckpoint loaded)
    {
        using var reader = new StreamReader((await loaded.StateOfAsync("c", default))!.Content);
        return await reader.ReadToEndAsync();
    }

    private Task<StateHome> Open(StateChoice choice, StateStart? start = null) =>
        StateHome.OpenAsync(choice, start ?? new StateStart(), "sys", _folder.Path, TimeProvider.System, NullLogger.Instance, default);
}
