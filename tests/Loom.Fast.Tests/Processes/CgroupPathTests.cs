using Loom.Processes.Cgroups;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class CgroupPathTests
{
    private const string Unified = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    private const string Hybrid = "30 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    [Theory]
    [InlineData(Unified, "0::/user.slice/user-1000.slice/app.slice/loom.service\n", "/sys/fs/cgroup/user.slice/user-1000.slice/app.slice/loom.service")]
    [InlineData(Unified, "0::/\n", "/sys/fs/cgroup")]
    [InlineData(Hybrid, "8:pids:/x\n4:memory:/y\n0::/\n", "/sys/fs/cgroup/unified")]
    [InlineData("1 1 0:1 /pod7 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/pod7/inner\n", "/sys/fs/cgroup/inner")]
    [InlineData("1 1 0:1 /pod7 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "0::/pod70\n", null)]
    [InlineData("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/y\n", null)]
    [InlineData(Unified, "0::/../outside\n", null)]
    [InlineData(Unified, "0::/gone (deleted)\n", null)]
    [InlineData("", "", null)]
    public void Own_FromTheTextOfProc_IsTheFolderOfOurGroup(string mounts, string membership, string? expected) =>
        CgroupPaths.Own(mounts, membership).ShouldBe(expected);
}
