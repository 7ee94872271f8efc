using System.Net.Sockets;
using System.Text;
using Loom.Cli.Systemd;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The service unit, and what the program tells a service manager, against a real datagram socket.</summary>
public sealed class SystemdTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Notifier_SocketOfAManager_HearsEverything(bool isAbstract)
    {
        using var folder = new TempFolder();
        using var manager = new Manager(isAbstract ? "@loom-test-" + Guid.NewGuid().ToString("N") : folder["notify"]);
        var environment = new Dictionary<string, string> { ["NOTIFY_SOCKET"] = manager.Address, ["WATCHDOG_USEC"] = "200000" };
        using (var notifier = Notifier.Of(environment, TimeProvider.System, NullLogger.Instance))
        {
            notifier.IsManaged.ShouldBeTrue();
            notifier.Status("starting");
            notifier.Status("starting");
            notifier.Ready("two\nlines");
            notifier.KeepAlive(() => true);
            (await manager.NextAsync()).ShouldBe("STATUS=starting");
            (await manager.NextAsync()).ShouldBe("READY=1\nSTATUS=two lines");
            (await manager.NextAsync()).ShouldBe("WATCHDOG=1");
            (await manager.NextAsync()).ShouldBe("WATCHDOG=1");
            notifier.Stopping("bye");
            string last;
            while ((last = await manager.NextAsync()) == "WATCHDOG=1")
            {
            }

            last.ShouldBe("STOPPING=1\nSTATUS=bye");
        }

        using var late = Notifier.Of(new Dictionary<string, string> { ["NOTIFY_SOCKET"] = folder["nobody"] }, TimeProvider.System, NullLogger.Instance);
        late.Ready("nobody listens, and that harms nobody");
    }

    [Fact]
    public async Task Up_UnderAManager_TellsReadyAndStopping()
    {
        using var folder = new TempFolder();
        using var manager = new Manager(folder["notify"]);
        await using (var loom = await RunningLoom.UpAsync(MockProject.Toml(), ("NOTIFY_SOCKET", manager.Address), ("WATCHDOG_USEC", "30000000")))
        {
            await manager.UntilAsync("READY=1");
            await manager.UntilAsync("WATCHDOG=1");
            (await loom.StopAsync()).ShouldBe(0, loom.Err);
        }

        await manager.UntilAsync("STOPPING=1");
    }

    [Theory]
    [InlineData()]
    [InlineData("--user")]
    public async Task Print_Unit_IsOneThatSystemdTakes(params string[] flags)
    {
        var analyze = "/usr/bin/systemd-analyze";
        Assert.SkipUnless(File.Exists(analyze), "there is no systemd-analyze here");
        var project = RunningLoom.NewFolder("[runtime]\nshutdown_timeout = \"20s\"\n");
        var (exit, unit, err) = await RunningLoom.RunAsync(project, ["systemd", "print", .. flags]);
        exit.ShouldBe(0, err);
        unit.ShouldContain("TimeoutStopSec=35");
        var file = Path.Combine(project, "loom-test.service");
        await File.WriteAllTextAsync(file, unit, TestContext.Current.CancellationToken);
        await using var verify = Child.Start(project, [analyze, "verify", .. flags, "--recursive-errors=no", file]);
        var (code, _) = await verify.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken);

        // It may complain about the machine it runs on; what it says of our file counts.
        verify.Output.Split('\n').Where(l => l.Contains("loom-test.service", StringComparison.Ordinal)).ShouldBeEmpty();
        (code == 0 || verify.Output.Length > 0).ShouldBeTrue();
        Directory.Delete(project, recursive: true);
    }

    [Fact]
    public async Task Install_UserUnit_IsWrittenOnceAndAStrangersIsLeftAlone()
    {
        var project = RunningLoom.NewFolder("");
        var config = Path.Combine(project, "config");
        (string, string)[] environment = [("XDG_CONFIG_HOME", config)];
        var (exit, _, err) = await RunningLoom.RunAsync(project, ["systemd", "install", "--user"], environment);
        exit.ShouldBe(0, err);
        err.ShouldContain("systemctl --user daemon-reload");
        var unit = Directory.GetFiles(Path.Combine(config, "systemd", "user")).ShouldHaveSingleItem();
        Path.GetFileName(unit).ShouldBe($"loom-{Path.GetFileName(project)}.service");
        (await RunningLoom.RunAsync(project, ["systemd", "install", "--user"], environment)).Err.ShouldContain("is as it should be");
        await File.WriteAllTextAsync(unit, "[Service]\n", TestContext.Current.CancellationToken);
        (await RunningLoom.RunAsync(project, ["systemd", "install", "--user"], environment)).Exit.ShouldBe(2);
        (await File.ReadAllTextAsync(unit, TestContext.Current.CancellationToken)).ShouldBe("[Service]\n");
        Directory.Delete(project, recursive: true);
    }

    [Fact]
    public async Task Install_TwoProjectsOfOneName_EachHasAUnitOfItsOwn()
    {
        var parent = RunningLoom.NewFolder("");
        (string, string)[] environment = [("XDG_CONFIG_HOME", Path.Combine(parent, "config"))];
        string[] projects = [Path.Combine(parent, "a", "shop"), Path.Combine(parent, "b", "shop")];
        foreach (var project in projects)
        {
            Directory.CreateDirectory(project);
            await File.WriteAllTextAsync(Path.Combine(project, "loom.toml"), "", TestContext.Current.CancellationToken);
            (await RunningLoom.RunAsync(project, ["systemd", "install", "--user"], environment)).Exit.ShouldBe(0);
        }

        foreach (var project in projects.Reverse())
        {
            (await RunningLoom.RunAsync(project, ["systemd", "install", "--user"], environment)).Err.ShouldContain("is as it should be");
        }

        var units = Directory.GetFiles(Path.Combine(parent, "config", "systemd", "user")).Order(StringComparer.Ordinal).ToList();
        units.Count.ShouldBe(2);
        units.Select(u => Path.GetFileName(u)).ShouldContain("loom-shop.service");
        units.Select(u => File.ReadAllText(u).Split('\n').Single(l => l.StartsWith("WorkingDirectory=", StringComparison.Ordinal))).ShouldBe(projects.Select(p => $"WorkingDirectory={p}"), ignoreOrder: true);
        Directory.Delete(parent, recursive: true);
    }

    /// <summary>The receiving end of a service manager.</summary>
    private sealed class Manager : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

        public Manager(string address)
        {
            Address = address;
            _socket.Bind(new UnixDomainSocketEndPoint(address[0] == '@' ? "\0" + address[1..] : address));
        }

        public string Address { get; }

        public async Task<string> NextAsync()
        {
            var buffer = new byte[4096];
            var count = await _socket.ReceiveAsync(buffer).WaitAsync(s_limit, TestContext.Current.CancellationToken);
            return Encoding.UTF8.GetString(buffer, 0, count);
        }

        public async Task UntilAsync(string line)
        {
            while (!(await NextAsync()).Split('\n').Contains(line))
            {
            }
        }

        public void Dispose() => _socket.Dispose();
    }
}
