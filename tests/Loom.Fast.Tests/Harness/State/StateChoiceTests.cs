using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.State;

public sealed class StateChoiceTests
{
    private static readonly Dictionary<string, StatePlan> s_none = [];

    [Fact]
    public void Of_NobodySaysAnything_IsSqliteAndAnnounced()
    {
        var choice = StateChoice.Of(new StatePlan(), s_none, new StateSettings());

        choice.System.ShouldBe(new AdapterChoice("sqlite_snapshot", null));
        choice.Announcement.ShouldNotBeNull().ShouldContain("SQLite");
        choice.Required.ShouldBeFalse();
        choice.Options.ShouldBe(new CheckpointOptions { Keep = 10, TimeToLive = null });
    }

    [Theory]
    [InlineData("redis://h:1/2", null, null)]
    [InlineData(null, "redis://h:1/2", null)]
    [InlineData(null, null, "redis://h:1/2")]
    public void Of_AnyoneSetsARedisUrl_IsRedis(string? system, string? settings, string? component)
    {
        var components = new Dictionary<string, StatePlan> { ["c"] = new() { RedisUrl = component } };

        var choice = StateChoice.Of(new StatePlan { RedisUrl = system }, components, new StateSettings { RedisUrl = settings });

        choice.System.ShouldBe(new AdapterChoice("redis_snapshot", new RedisUrl("h", 1, 2, false, null)));
        choice.Components.ShouldBeEmpty();
        choice.Announcement.ShouldNotBeNull();
    }

    [Fact]
    public void Of_NamedWithoutUrl_IsExactlyThatAtTheUsualPlace()
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = "redis_snapshot" }, s_none, new StateSettings { Adapter = "inmem_ephemeral" });

        choice.System.Redis.ShouldNotBeNull().Shown.ShouldBe("redis://127.0.0.1:6379/0");
        choice.Announcement.ShouldBeNull();
        StateChoice.Of(new StatePlan(), s_none, new StateSettings { Adapter = "sqlite_snapshot", RedisUrl = "redis://h" }).System.Adapter.ShouldBe("sqlite_snapshot");
    }

    [Fact]
    public void Of_ComponentNamesAnother_OnlyItsStateGoesThere()
    {
        var components = new Dictionary<string, StatePlan>
        {
            ["score"] = new() { Adapter = "redis_snapshot" },
            ["same"] = new() { Adapter = "sqlite_snapshot" },
            ["silent"] = new(),
        };

        var choice = StateChoice.Of(new StatePlan(), components, new StateSettings());

        choice.System.Adapter.ShouldBe("sqlite_snapshot");
        choice.Components.ShouldHaveSingleItem().ShouldBe(new KeyValuePair<string, AdapterChoice>(
            "score", new AdapterChoice("redis_snapshot", new RedisUrl("127.0.0.1", 6379, 0, false, null))));
    }

    [Fact]
    public void Of_UnknownAdapter_NamesWhatThereIs() => Should
        .Throw<FormatException>(() => StateChoice.Of(new StatePlan { Adapter = "redis" }, s_none, new StateSettings()))
        .Message.ShouldBe("there is no state adapter 'redis'; there are: redis_snapshot, sqlite_snapshot, inmem_ephemeral");

    [Theory]
    [InlineData("redis://localhost", "redis://localhost:6379/0", null)]
    [InlineData("rediss://:p%40ss@cache.example:7000/3", "rediss://cache.example:7000/3", "p@ss")]
    [InlineData("redis://default:secret@h/1", "redis://h:6379/1", "secret")]
    [InlineData("redis://[::1]:6380", "redis://[::1]:6380/0", null)]
    public void RedisUrl_Forms_AreRead(string text, string shown, string? password)
    {
        var url = RedisUrl.Parse(text);
        url.Password.ShouldBe(password);
        url.Shown.ShouldBe(shown);
    }

    [Theory]
    [InlineData("localhost:6379")]
    [InlineData("http://h")]
    [InlineData("redis://someone:secret@h")]
    [InlineData("redis://:secret@h/main")]
    public void RedisUrl_Unusable_SaysWhyWithoutThePassword(string text) =>
        Should.Throw<FormatException>(() => RedisUrl.Parse(text)).Message.ShouldNotContain("secret");

    [Theory]
    [InlineData("yes", "always", "noeviction", 0)]
    [InlineData("yes", "everysec", "noeviction", 1)]
    [InlineData("no", "always", "allkeys-lru", 2)]
    [InlineData(null, null, null, 0)]
    public void RedisPromise_Settings_AreToldTruly(string? appendOnly, string? fsync, string? policy, int warnings)
    {
        var promise = new RedisPromise(appendOnly, fsync, policy);
        promise.Warnings.Count.ShouldBe(warnings);
        promise.Words.ShouldStartWith($"appendonly {appendOnly ?? "unknown"}, appendfsync {fsync ?? "unknown"}, maxmemory-policy {policy ?? "unknown"}: ");
    }
}
