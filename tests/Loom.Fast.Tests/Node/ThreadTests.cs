using Loom.Node.Plans;
using Loom.Node.Threads;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class ThreadTests
{
    private const long Big = 4L << 30;

    [Fact]
    public void Probe_HyperThreads_CountPhysicalCoresInsideTheAffinity()
    {
        var files = new Dictionary<string, string> { ["/proc/self/status"] = "Name:\tx\nCpus_allowed_list:\t0-3,6\n" };
        foreach (var (cpu, core) in new[] { (0, 0), (1, 0), (2, 1), (3, 1), (6, 3) })
        {
            files[$"/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"] = "0\n";
            files[$"/sys/devices/system/cpu/cpu{cpu}/topology/core_id"] = $"{core}\n";
        }

        Probe(files).ShouldBe(new CpuFacts(3, null));
    }

    [Theory]
    [InlineData(8, 0, false)] // each takes all cores
    [InlineData(8, 4, true)]
    [InlineData(8, 5, false)]
    [InlineData(1, 0, true)] // one thread each
    public void RoomBeside_TwoEnginesOfAReplica_OnlyWithinTheUsableCores(int usable, int threads, bool room)
    {
        var pool = Fixtures.Pool() with { Engine = Fixtures.Pool().Engine with { Threads = threads } };
        new ThreadPlan(usable, 1).RoomBeside(pool, Big, pool, Big).ShouldBe(room);
    }

    [Fact]
    public void RoomBeside_SmallModels_AlwaysFit() =>
        new ThreadPlan(2, 3).RoomBeside(Fixtures.Pool(), 1000, Fixtures.Pool(), 1000).ShouldBeTrue();

    [Fact]
    public void Probe_TwoSocketsWithTheSameCoreIds_AreDistinctCores()
    {
        var files = new Dictionary<string, string> { ["/proc/self/status"] = "Cpus_allowed_list:\t0-1\n" };
        foreach (var cpu in new[] { 0, 1 })
        {
            files[$"/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"] = $"{cpu}\n";
            files[$"/sys/devices/system/cpu/cpu{cpu}/topology/core_id"] = "0\n";
        }

        Probe(files).PhysicalCores.ShouldBe(2);
    }

    [Theory]
    [InlineData("0::/a/b\n", "/sys/fs/cgroup/a/cpu.max", "250000 100000\n", 2.5)]
    [InlineData("0::/\n", "/sys/fs/cgroup/cpu.max", "max 100000\n", null)]
    public void Probe_CgroupV2_LowestLimitUpwardsCounts(string cgroup, string path, string content, double? quota) =>
        Probe(new() { ["/proc/self/status"] = "Cpus_allowed_list:\t0-7\n", ["/proc/self/cgroup"] = cgroup, [path] = content }).QuotaCores.ShouldBe(quota);

    [Fact]
    public void Probe_CgroupV1_QuotaOverPeriod() => Probe(new()
    {
        ["/proc/self/status"] = "Cpus_allowed_list:\t0-7\n",
        ["/proc/self/cgroup"] = "3:cpu,cpuacct:/docker/x\n",
        ["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "300000\n",
        ["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n",
    }).Usable.ShouldBe(3);

    [Theory]
    [InlineData(8, 1.5, 1)]
    [InlineData(8, 0.5, 1)]
    [InlineData(2, 4.0, 2)]
    public void Usable_Quota_IsRoundedDownToAtLeastOne(int cores, double quota, int usable) => new CpuFacts(cores, quota).Usable.ShouldBe(usable);

    [Theory]
    [InlineData(EngineKinds.Embedded, 8, 1, 7)]
    [InlineData(EngineKinds.Embedded, 8, 3, 2)]
    [InlineData(EngineKinds.Embedded, 1, 1, 1)]
    [InlineData(EngineKinds.LlamaServer, 8, 1, 8)]
    [InlineData(EngineKinds.LlamaServer, 8, 3, 2)]
    public void Of_Kind_SplitsUsableCoresOverReplicas(string kind, int usable, int replicas, int threads) =>
        new ThreadPlan(usable, replicas).Of(Fixtures.Pool(kind), Big).ShouldBe(threads);

    [Fact]
    public void Of_SmallModel_OneThread() => new ThreadPlan(16, 1).Of(Fixtures.Pool(), ThreadPlan.SmallModelBytes - 1).ShouldBe(1);

    [Fact]
    public void Of_SetByHand_IsTakenAndWarnedAboutAboveTheCores()
    {
        var pool = Fixtures.Pool() with { Replicas = 2 };
        pool = pool with { Engine = pool.Engine with { Threads = 6 } };
        var plan = ThreadPlan.For([pool], new CpuFacts(8, null));
        plan.Of(pool, Big).ShouldBe(6);
        plan.Warning([pool]).ShouldNotBeNull().ShouldContain("12 threads");
        ThreadPlan.For([Fixtures.Pool()], new CpuFacts(8, null)).Warning([Fixtures.Pool()]).ShouldBeNull();
    }

    private static CpuFacts Probe(Dictionary<string, string> files) => CpuFacts.Probe(files.GetValueOrDefault);
}
