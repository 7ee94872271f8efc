using System.Collections.Immutable;
using System.Text;
using Loom.Agents.Project;
using Loom.Processes;
using Loom.Processes.Guarding;
using Loom.Processes.Probes;
using Loom.Processes.Supervision;
using Loom.Processes.Table;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class ProcTextTests
{
    [Fact]
    public void Probe_Described_ShowsNoUserAndNoQuery() =>
        ProbeRunner.Describe(new ProbeCheck.Http(new Uri("http://user:word@127.0.0.1:8080/health?key=1#x"))).ShouldBe("GET http://127.0.0.1:8080/health");

    [Fact]
    public void Stat_NameWithBlanksAndBrackets_FieldsCountFromTheLastBracket()
    {
        const string Line = "4121 (a) b) (c) S 7 4121 4120 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 12 13\n";
        var entry = ProcessTable.Parse(4121, Encoding.ASCII.GetBytes(Line))!.Value;
        entry.ShouldBe(new ProcessEntry(4121, 7, 4121, 4120, 'S', 987654) { CpuTicks = 5 + 6 + 7 + 8, ResidentPages = 12 });
        entry.Alive.ShouldBeTrue();
    }

    [Fact]
    public void Stat_Zombie_IsNotAlive() =>
        ProcessTable.Parse(1, "1 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0"u8)!.Value.Alive.ShouldBeFalse();

    [Fact]
    public void Environment_FindsBothMarksAndIgnoresLookAlikes()
    {
        ChildEnvironment.Parse("A=1\0LOOM_RUN_ID=01J\0LOOM_PROC_ID=a\0"u8).ShouldBe(("01J", "a"));
        ChildEnvironment.Parse("XLOOM_RUN_ID=01J\0"u8).ShouldBe((null, null));
    }

    [Fact]
    public void Table_Descendants_AreFoundThroughEveryGeneration()
    {
        var table = new ProcessTable([Entry(2, 1), Entry(3, 2), Entry(4, 3), Entry(5, 1)]);
        table.Descendants([2]).ShouldBe([3, 4], ignoreOrder: true);
    }

    [Fact]
    public void Registry_BytesCutAnywhere_KnowsTheSameChildren()
    {
        var messages = new GuardianMessage[]
        {
            new GuardianMessage.Child(new ProcessIdentity(10, 100), TimeSpan.FromMilliseconds(250), "a name with blanks"),
            new GuardianMessage.Child(new ProcessIdentity(11, 101), TimeSpan.FromSeconds(1), "b"),
            new GuardianMessage.Stray(new ProcessIdentity(12, 102)),
            new GuardianMessage.Gone(new ProcessIdentity(11, 101)),
        };
        var bytes = Encoding.UTF8.GetBytes(string.Concat(messages.Select(m => m + "\n")) + "child 13 10");
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var registry = new GuardianRegistry();
            registry.Feed(bytes.AsSpan(0, cut));
            registry.Feed(bytes.AsSpan(cut));
            registry.Children.ShouldBe([new Leftover(new ProcessIdentity(10, 100), TimeSpan.FromMilliseconds(250))]);
            registry.Strays.ShouldBe([new ProcessIdentity(12, 102)]);
            registry.Dismissed.ShouldBeFalse();
        }
    }

    [Theory]
    [InlineData("child 1 5 100 init")]
    [InlineData("child -7 5 100 all")]
    [InlineData("stray x 5")]
    [InlineData("")]
    public void Message_ThatCouldMeanEverybody_IsIgnored(string line) => GuardianMessage.Parse(line).ShouldBeNull();

    [Fact]
    public void PortTable_ListeningSocket_IsFoundByPort()
    {
        string[] lines =
        [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 55501 1 0 100 0 0 10 0",
            "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 55502 1 0 100 0 0 10 0",
        ];
        PortHolder.Parse(lines, 8080).ShouldBe(["55501"]);
        PortHolder.Parse(lines, 8081).ShouldBeEmpty();
    }

    [Fact]
    public void PlanCheck_LogAsLiveness_IsRefusedWithTheReason()
    {
        var plan = MachineBench.Plan() with { Live = new ProbePlan { Check = new ProbeCheck.Log("x") } };
        Should.Throw<ArgumentException>(() => PlanCheck.ThrowIfImpossible(plan)).Message.ShouldContain("use http, tcp or exec");
        Should.Throw<ArgumentException>(() => PlanCheck.ThrowIfImpossible(MachineBench.Plan() with { Name = "a/b" }));
        Should.Throw<ArgumentException>(() => PlanCheck.ThrowIfImpossible(MachineBench.Plan() with { WorkingDirectory = "relative" }));
    }

    [Fact]
    public void PlanHash_AnyChangeOfTheEnvironment_Shows()
    {
        var plan = MachineBench.Plan() with { Environment = ImmutableDictionary<string, string>.Empty.Add("A", "1") };
        PlanHash.Of(plan).ShouldBe(PlanHash.Of(plan with { }));
        PlanHash.Of(plan).ShouldNotBe(PlanHash.Of(plan with { Environment = plan.Environment.SetItem("A", "2") }));
        PlanHash.Of(plan).ShouldNotBe(PlanHash.Of(plan with { Command = ["a", "b"] }));
    }

    [Fact]
    public void SteadyClock_ClockSetByAnHour_GoesOnAsIfNothingHappened()
    {
        var time = new SteppedTime();
        var clock = new SteadyClock(time);
        var start = clock.Now;
        time.Wall += TimeSpan.FromHours(1);
        clock.Now.ShouldBe(start);
        time.Ticks += TimeSpan.FromSeconds(2).Ticks;
        time.Wall -= TimeSpan.FromHours(2);
        clock.Now.ShouldBe(start + TimeSpan.FromSeconds(2));
    }

    [Fact]
    public void RunId_Later_SortsLater()
    {
        var time = new SteppedTime();
        var first = RunId.New(time, new Random(1));
        time.Wall += TimeSpan.FromMilliseconds(1);
        var second = RunId.New(time, new Random(1));
        first.Length.ShouldBe(26);
        string.CompareOrdinal(first, second).ShouldBeLessThan(0);
    }

    private static ProcessEntry Entry(int pid, int parent) => new(pid, parent, pid, pid, 'S', pid);

    private sealed class SteppedTime : TimeProvider
    {
        internal DateTimeOffset Wall { get; set; } = DateTimeOffset.UnixEpoch;

        internal long Ticks { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => Wall;

        public override long GetTimestamp() => Ticks;
    }
}
