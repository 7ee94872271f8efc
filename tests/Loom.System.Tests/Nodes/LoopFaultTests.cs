using System.Net;
using System.Runtime.CompilerServices;
using Loom.Cli;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Control.Nodes;
using Loom.Core.Settings;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.SystemTests.Gateway;
using Loom.Wire;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>A loop without which a part of a cluster cannot go on: its error is seen, and ends the part.</summary>
public sealed class LoopFaultTests
{
    [Fact(Timeout = 300_000)]
    public async Task ControlPlane_NobodyLooksForSilentNodes_IsSeenAndCannotGoOn()
    {
        using var loggers = new LoggerFactory();
        var options = new ControlOptions
        {
            Api = new() { Bind = new IPEndPoint(IPAddress.Loopback, 0), RunToken = "run-token" },
            Nodes = new NodesOptions { Registers = true, CheckInterval = BrokenClock.Interval },
        };
        await using var control = await CloudControl.StartAsync(options, new BrokenClock(), loggers, CancellationToken.None);

        await Loom.Testing.Deadline.Until(() => control.Broken.IsCancellationRequested, "the control plane says that it cannot go on");

        control.Fault.ShouldNotBeNull().Message.ShouldBe(BrokenClock.Words);
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(control.Addresses["api"] + "/health/detail"));
        request.Headers.Authorization = new("Bearer", "run-token");
        using var detail = await http.SendAsync(request);
        (await detail.Content.ReadAsStringAsync()).ShouldContain(BrokenClock.Words);
    }

    [Fact(Timeout = 300_000)]
    public async Task Agent_NobodyBeats_IsSeenAndCannotGoOn()
    {
        var node = new BrokenNode();
        var options = new LinkOptions { NodeId = "one", MachineId = "m", ControlPlanes = [new Uri("http://127.0.0.1:9")], Bind = new IPEndPoint(IPAddress.Loopback, 1) };
        await using var link = new ControlPlaneLink(
            options, new Uri("http://127.0.0.1:1"), () => throw new InvalidOperationException("no facts"), node, new ProxiedRuns(TimeProvider.System), TimeProvider.System, new Random(1), new ListLog().CreateLogger("x"));

        link.Start();

        (await link.Broken.WaitAsync(TimeSpan.FromSeconds(120))).Message.ShouldBe("no facts");
        link.Faults.ShouldContain(f => f.Message == "no facts");
    }

    [Fact(Timeout = 300_000)]
    public async Task Service_CannotGoOn_IsStoppedInOrderAndTheProcessFailsWithTheReason()
    {
        using var folder = new Loom.Testing.TempFolder();
        using var signals = new ProcessSignals();
        var context = new VerbContext
        {
            Terminal = new Terminal { Out = TextWriter.Null, Err = TextWriter.Null, In = TextReader.Null },
            Set = [],
            Environment = new Dictionary<string, string> { ["ORCHESTRATORD_CLOUD_PROFILE"] = "true", ["LLORCH_API_TOKEN"] = ClusterWorld.Token },
            WorkingDirectory = folder.Path,
            Executable = "/bin/false",
        };
        var service = new FailingService();
        var session = new ServiceSession(context, QueenRbeeVerb.Create(signals).Parse([]), signals, LoomPart.QueenRbee, "queen-rbee");

        var running = session.RunAsync((_, _) => Task.FromResult<IService>(service));
        await service.FailAsync("nobody looks any more");

        var error = await Should.ThrowAsync<CliError>(() => running.WaitAsync(TimeSpan.FromSeconds(120)));
        error.Exit.ShouldBe(ExitCode.Failed);
        error.Message.ShouldBe("loom queen-rbee cannot go on: nobody looks any more");
        service.Did.ShouldBe(["stop", "dispose"]);
    }

    private sealed class FailingService : IService
    {
        private readonly CancellationTokenSource _broken = new();

        public List<string> Did { get; } = [];

        public IReadOnlyDictionary<string, string> Addresses { get; } = new Dictionary<string, string>();

        public CancellationToken Broken => _broken.Token;

        public Exception? Fault { get; private set; }

        public async Task FailAsync(string words)
        {
            Fault = new InvalidOperationException(words);
            await _broken.CancelAsync();
        }

        public Task StopAsync(CancellationToken hurry)
        {
            Did.Add("stop");
            return Task.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            Did.Add("dispose");
            return ValueTask.CompletedTask;
        }
    }

    // Tells no time once the periodic timer of one interval has been made. The timer itself must come to be: one that was made by halves ends the process
    // when it is collected.
    private sealed class BrokenClock : TimeProvider
    {
        public const string Words = "the clock is broken";
        public static readonly TimeSpan Interval = TimeSpan.FromSeconds(7);
        private volatile bool _broken;

        public override DateTimeOffset GetUtcNow() => _broken ? throw new InvalidOperationException(Words) : base.GetUtcNow();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var ours = dueTime == Interval && period == Interval;
            _broken |= ours;
            return base.CreateTimer(callback, state, ours ? TimeSpan.FromMilliseconds(1) : dueTime, period);
        }
    }

    private sealed class BrokenNode : IServedNode
    {
        public System.Collections.Immutable.ImmutableArray<ReplicaStatus> Snapshot => [];

        public async IAsyncEnumerable<System.Collections.Immutable.ImmutableArray<ReplicaStatus>> WatchAsync([EnumeratorCancellation] CancellationToken cancel)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
            yield break;
        }

        public UpstreamCredentials CredentialsOf(ReplicaId replica) => throw new NotSupportedException();

        public void ReportFault(ReplicaId replica, string reason)
        {
        }

        public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
