using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Agents.Reload;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Orchestration;

public sealed class ReloadMachineTests
{
    private readonly List<ReloadAction> _did = [];
    private ReloadState _state = new() { Agent = "bot", Debounce = TimeSpan.FromMilliseconds(300), Checks = true };
    private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

    [Fact]
    public void Change_Burst_OneCheckAfterTheQuietTime()
    {
        Save("a.py").After(0.2).Save("b.py").After(0.2).Save("a.py").After(0.29).Did().ShouldBeEmpty();
        After(0.02).Did().ShouldBe([new ReloadAction.Check()]);
        Checked(null).Did().ShouldBe([new ReloadAction.Note(null), new ReloadAction.Reload("reloading: a.py and 1 more changed")]);
        After(100).Did().ShouldBeEmpty();
        _state.Alarm.ShouldBeNull();
    }

    [Fact]
    public void Check_Fails_NoReloadUntilTheNextChangePasses()
    {
        Save("a.py").After(0.3).Checked("sh -n a.sh: exit 2\nline 3: unexpected end").Did()
            .ShouldBe([new ReloadAction.Check(), new ReloadAction.Note("reload failed: sh -n a.sh: exit 2\nline 3: unexpected end")]);
        After(60).Did().ShouldBeEmpty();
        Save("a.py").After(0.3).Checked(null).Did()
            .ShouldBe([new ReloadAction.Check(), new ReloadAction.Note(null), new ReloadAction.Reload("reloading: a.py changed")]);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("broken")]
    public void Change_DuringTheCheck_ItsResultIsWorthless(string? result)
    {
        Save("a.py").After(0.3).Did().ShouldBe([new ReloadAction.Check()]);
        Save("b.py").After(5).Did().ShouldBeEmpty(); // one check at a time
        Checked(result).Did().ShouldBeEmpty();
        After(0.01).Did().ShouldBe([new ReloadAction.Check()]);
        Checked(null).Did().ShouldContain(new ReloadAction.Reload("reloading: a.py and 1 more changed"));
    }

    [Fact]
    public void NoCheck_Change_ReloadsAtOnce()
    {
        _state = _state with { Checks = false };
        Save("a.py").After(0.3).Did().ShouldBe([new ReloadAction.Reload("reloading: a.py changed")]);
    }

    [Fact]
    public void FeedbackLoop_MoreThanFiveIn30Seconds_SuspendedByNameUntilQuiet()
    {
        _state = _state with { Checks = false };
        for (var i = 0; i < 5; i++)
        {
            Save("state.json").After(2).Did().ShouldHaveSingleItem().ShouldBeOfType<ReloadAction.Reload>();
        }

        Save("a.py").Save("state.json").After(2);
        _did[0].ShouldBe(new ReloadAction.Suspended("state.json", 6));
        ((ReloadAction.Note)_did[1]).Text!.ShouldStartWith("reload suspended: 'state.json' changed 6 times in 30 s");
        _did.Count.ShouldBe(2);
        _did.Clear();
        for (var i = 0; i < 10; i++)
        {
            Save("state.json").After(29).Did().ShouldBeEmpty(); // never quiet for long enough
        }

        After(1.1).Did().ShouldBe([new ReloadAction.Note("changed while suspended; save once more or loom restart bot")]);
        After(60).Did().ShouldBeEmpty(); // what changed meanwhile is not acted upon: it would only begin anew
        Save("a.py").After(1).Did().ShouldBe([new ReloadAction.Note(null), new ReloadAction.Reload("reloading: a.py changed")]);
        Save("a.py").After(1).Did().ShouldHaveSingleItem().ShouldBeOfType<ReloadAction.Reload>();
    }

    [Fact]
    public void FiveReloads_SpreadOverMoreThan30Seconds_AreNoLoop()
    {
        _state = _state with { Checks = false };
        for (var i = 0; i < 50; i++)
        {
            Save("a.py").After(6.1).Did().ShouldHaveSingleItem().ShouldBeOfType<ReloadAction.Reload>();
        }
    }

    [Theory]
    [InlineData("agent.py", true)]
    [InlineData("lib/deep/x.py", true)]
    [InlineData("__pycache__/agent.cpython-313.pyc", false)]
    [InlineData("lib/node_modules/x/index.js", false)]
    [InlineData(".git/index", false)]
    [InlineData("bin/Debug/a.dll", false)]
    [InlineData("logs", false)]
    [InlineData("binary.py", true)]
    [InlineData(".agent.py.swp", false)]
    [InlineData("agent.py~", false)]
    [InlineData("4913", false)]
    [InlineData(".#agent.py", false)]
    [InlineData("#agent.py#", false)]
    [InlineData("agent.py___jb_tmp___", false)]
    public void Filter_AlwaysExcluded_DoNotCount(string path, bool counts) => Filter([], []).Counts(path).ShouldBe(counts);

    [Theory]
    [InlineData("a.py", true)]
    [InlineData("sub/a.py", true)]
    [InlineData("a.txt", false)]
    [InlineData("prompts/x/y.md", true)]
    [InlineData("prompts.md", false)]
    [InlineData("sub/generated_a.py", false)]
    [InlineData("data/a.py", false)]
    [InlineData("sub/data/a.py", false)]
    public void Filter_Globs_MatchRelativeToTheWatchedFolder(string path, bool counts) =>
        Filter(["*.py", "prompts/**/*.md"], ["generated_*", "data/"]).Counts(path).ShouldBe(counts);

    private static WatchFilter Filter(ImmutableArray<string> include, ImmutableArray<string> exclude) => new(new WatchPlan { Paths = ["/p"], Include = include, Exclude = exclude });

    private ReloadMachineTests Save(string file) => Do(new ReloadEvent.Changed(file));

    private ReloadMachineTests Checked(string? failure) => Do(new ReloadEvent.Checked(failure));

    private ReloadMachineTests After(double seconds)
    {
        var end = _now + TimeSpan.FromSeconds(seconds);
        while (_state.Alarm is { } alarm && alarm <= end)
        {
            _now = alarm > _now ? alarm : _now;
            Do(new ReloadEvent.Tick());
        }

        _now = end;
        return this;
    }

    private List<ReloadAction> Did()
    {
        var did = _did.ToList();
        _did.Clear();
        return did;
    }

    private ReloadMachineTests Do(ReloadEvent happened)
    {
        (_state, var actions) = ReloadMachine.Apply(_state, happened, _now);
        _did.AddRange(actions);
        return this;
    }
}
