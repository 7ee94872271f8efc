using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class SettingsSnapshotTests
{
    private static readonly Setting<long> s_slots = Setting.Int("serving.pools.*.slots", "Slots.", "4", min: "1", max: "256");

    private static readonly Setting<TimeSpan> s_grace = Setting.Duration("mcp.*.grace", "Grace.", "{supervisor.grace.engines}", min: "0", max: "3600");

    private static readonly Setting<Secret> s_env = Setting.Hidden("mcp.*.env.*", "Variables.");

    private static readonly Setting[] s_all = [.. SharedSettings.All, s_slots, s_grace, s_env];

    [Fact]
    public void Get_NothingGiven_GivesDefaults()
    {
        var snapshot = TestSettings.Snapshot(s_all);
        snapshot.Get(SharedSettings.GraceEngines).ShouldBe(TimeSpan.FromSeconds(5));
        snapshot.Get(SharedSettings.ModelsDir).ShouldBe("/project/.loom/data/llm/models");
        snapshot.GetOrNull(SharedSettings.Token).ShouldBeNull();
        snapshot.Get(s_slots, "any").ShouldBe(4);
        snapshot.Names("serving.pools").ShouldBeEmpty();
        snapshot.SourceOf(s_slots, "any").IsGiven.ShouldBeFalse();
    }

    [Fact]
    public void Get_StarredKeyGiven_GivesItForThatNameOnly()
    {
        var snapshot = TestSettings.Snapshot(s_all, ("serving.pools.chat.slots", "16"), ("serving.pools.\"a.b\".slots", "8"), ("supervisor.grace.engines", "1m"));
        snapshot.Get(s_slots, "chat").ShouldBe(16);
        snapshot.Get(s_slots, "a.b").ShouldBe(8);
        snapshot.Get(s_slots, "other").ShouldBe(4);
        snapshot.Names("serving.pools").ShouldBe(["chat", "a.b"]);
        snapshot.Get(s_grace, "brave").ShouldBe(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void Get_TwoStars_NamesBoth()
    {
        var snapshot = TestSettings.Snapshot(s_all, ("mcp.brave.env.KEY", "abc"));
        snapshot.Names("mcp").ShouldBe(["brave"]);
        snapshot.Names("mcp.*.env", "brave").ShouldBe(["KEY"]);
        snapshot.Get(s_env, "brave", "KEY").Reveal().ShouldBe("abc");
        snapshot.Get(s_env, "brave", "KEY").ToString().ShouldNotContain("abc");
    }
}
