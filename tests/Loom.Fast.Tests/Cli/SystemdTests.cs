using System.Text;
using Loom.Cli.Systemd;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class SystemdTests
{
    private static readonly UnitPlan s_plan = new()
    {
        Project = "demo",
        Folder = "/srv/demo",
        Executable = "/opt/loom/loom",
        User = "weaver",
        SearchPath = "/usr/bin:/bin",
        ShutdownTimeout = TimeSpan.FromSeconds(30),
    };

    [Fact]
    public void Unit_System_SaysWhatTheContractAsks()
    {
        var lines = UnitFile.Write(s_plan).Split('\n');
        lines[0].ShouldBe(UnitFile.Mark);
        foreach (var line in (string[])
        [
            "Type=notify", "ExecStart=\"/opt/loom/loom\" up --no-input", "KillMode=mixed", "TimeoutStopSec=45", "Restart=on-failure",
            "RestartPreventExitStatus=2 6", "WatchdogSec=30", "Delegate=yes", "User=weaver", "WorkingDirectory=/srv/demo", "WantedBy=multi-user.target",
        ])
        {
            lines.ShouldContain(line);
        }
    }

    [Fact]
    public void Unit_User_NamesNobodyAndWaitsForNoNetwork()
    {
        var text = UnitFile.Write(s_plan with { User = null });
        text.ShouldContain("WantedBy=default.target");
        text.ShouldNotContain("User=");
        text.ShouldNotContain("network-online");
    }

    [Fact]
    public void Unit_StrangePaths_AreQuotedAndNotExpanded()
    {
        var text = UnitFile.Write(s_plan with { Folder = "/srv/my 100% project", Executable = "/opt/a \"b\"/$loom" });
        text.ShouldContain("WorkingDirectory=/srv/my 100%% project\n");
        text.ShouldContain("""ExecStart="/opt/a \"b\"/$$loom" up""");
    }

    [Theory]
    [InlineData("demo", "loom-demo.service")]
    [InlineData("my project/ä", "loom-my-project--.service")]
    public void NameOf_Project_IsAUnitName(string project, string name) => UnitFile.NameOf(project).ShouldBe(name);

    [Theory]
    [InlineData("/run/systemd/notify", "/run/systemd/notify")]
    [InlineData("@abstract", "@abstract")]
    [InlineData("vsock:2:1234", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void EndPoint_Variable_IsUnderstood(string? text, string? shown) => Notifier.EndPointOf(text)?.ToString()?.Replace('\0', '@').ShouldBe(shown);

    [Fact]
    public void EndPoint_LongerThanASocketsPath_IsNone() => Notifier.EndPointOf("/" + new string('x', 200)).ShouldBeNull();

    [Theory]
    [InlineData("30000000", null, 30)]
    [InlineData("30000000", "42", 30)]
    [InlineData("30000000", "43", null)]
    [InlineData("0", null, null)]
    [InlineData("soon", null, null)]
    [InlineData(null, null, null)]
    public void Watchdog_Variables_AreForThisProcessOnly(string? microseconds, string? pid, int? seconds)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        if (microseconds is not null)
        {
            environment["WATCHDOG_USEC"] = microseconds;
        }

        if (pid is not null)
        {
            environment["WATCHDOG_PID"] = pid;
        }

        Notifier.WatchdogOf(environment, 42).ShouldBe(seconds is { } s ? TimeSpan.FromSeconds(s) : null);
    }

    [Fact]
    public void Notifier_NoManager_DoesNothing()
    {
        using var notifier = Notifier.Of(new Dictionary<string, string>(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        notifier.IsManaged.ShouldBeFalse();
        notifier.Ready("x");
        notifier.KeepAlive(() => throw new InvalidOperationException("nobody watches"));
        notifier.Stopping(new StringBuilder().Append('x', 5000).ToString());
    }
}
