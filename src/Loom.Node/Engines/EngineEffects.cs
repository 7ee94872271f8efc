using Loom.Core.Settings;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Node.Threads;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Engines;

/// <summary>What all replicas of a node share.</summary>
/// <param name="Supervisor">Runs the processes.</param>
/// <param name="Provisioner">Fetches engines and models.</param>
/// <param name="Ports">Hands out ports.</param>
/// <param name="Client">Asks engines.</param>
/// <param name="Threads">Splits the cores.</param>
/// <param name="Machine">Shapes command lines.</param>
public sealed record EngineHost(ISupervisor Supervisor, IProvisioner Provisioner, PortRange Ports, EngineClient Client, ThreadPlan Threads,
    LaunchMachine Machine);

/// <summary>The effects of one replica on the real world.</summary>
/// <param name="options">Folders and rules.</param>
/// <param name="pool">The pool as this engine runs it.</param>
/// <param name="replica"><c>r0</c>, <c>r1</c> ...</param>
/// <param name="host">What engines share.</param>
/// <param name="logger">Where launches are told.</param>
/// <param name="second">The replica has another engine at the same time, whose process has the usual name.</param>
/// <param name="prepared">What provisioning found a moment ago, for the first start; null = it is asked.</param>
public sealed partial class EngineEffects(NodeOptions options, PoolPlan pool, string replica, EngineHost host, ILogger logger, bool second = false,
    PreparedEngine? prepared = null) : IEngineEffects
{
    private static readonly TimeSpan s_probeFirst = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_probeStarting = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_probeRunning = TimeSpan.FromSeconds(2);
    private PreparedEngine? _prepared = prepared;
    private int _port;

    /// <summary>
    /// Name of the process in the supervisor: <c>engine-POOL-REPLICA</c>, with <c>-b</c> for the second of a replica that has two during a reload. Names
    /// take turns: what comes in beside a second one is a first one again.
    /// </summary>
    public string ProcessName { get; } = NameOf(pool.Id, replica, second);

    /// <summary>The replica's restart policy, which listens to its log.</summary>
    public EngineRestartPolicy Policy => options.Restart with { MemoryTroubleSince = since => EngineLog.SpeaksOfMemoryTrouble(EngineLog.Tail(LogPath), since) };

    private string LogPath => Path.Combine(options.LogsDir, $"engine-{pool.Id}-{replica}.log");

    public Task<PreparedEngine> PrepareAsync(IProgress<ProvisionProgress> progress, CancellationToken cancellationToken) =>
        Interlocked.Exchange(ref _prepared, null) is { } prepared ? Task.FromResult(prepared) : host.Provisioner.PrepareAsync(pool, progress, cancellationToken);

    public int TakePort()
    {
        var old = _port;
        _port = host.Ports.Take();
        host.Ports.Release(old);
        return _port > 0 ? _port : throw new ProvisionException(ProvisionExit.NotHealthy,
            $"all ports of serving.node.engine_ports ({host.Ports}) are taken; free some or widen the range");
    }

    public void ReleasePort()
    {
        host.Ports.Release(_port);
        _port = 0;
    }

    public bool IsPortTaken(int port) => PortRange.IsTaken(port);

    public Task AddProcessAsync(EngineRun run, CancellationToken cancellationToken)
    {
        var plan = Plan(run);
        LogCommand(logger, ProcessName, new SecretMask(plan.Log.Secrets).Apply(string.Join(' ', plan.Command)));
        Directory.CreateDirectory(options.Folders.TmpDir); // TMPDIR of every engine; programs expect it to exist
        return host.Supervisor.AddAsync(plan, cancellationToken);
    }

    public async Task RemoveProcessAsync(CancellationToken cancellationToken)
    {
        if (host.Supervisor.Processes.Any(p => p.Name == ProcessName))
        {
            await host.Supervisor.RemoveAsync(ProcessName, cancellationToken).ConfigureAwait(false);
        }
    }

    public IDisposable Subscribe(Action<ProcessSnapshot> onChange) => host.Supervisor.Subscribe(p =>
    {
        if (p.Name == ProcessName)
        {
            onChange(p);
        }
    });

    public Task<EngineFacts> AskFactsAsync(EngineRun run, CancellationToken cancellationToken) =>
        host.Client.FactsAsync(Root(run), pool.Engine.HealthPath, cancellationToken);

    public Task<int?> AskLoadPercentAsync(EngineRun run, CancellationToken cancellationToken) => host.Client.LoadPercentAsync(Health(run), cancellationToken);

    public Task<string?> ProbeAsync(EngineRun run, CancellationToken cancellationToken) => host.Client.ProbeAsync(Health(run), cancellationToken);

    public string? LastWords() => EngineLog.LastWords(string.Join('\n', host.Supervisor.Tail(ProcessName, 20)));

    /// <summary>Name of a replica's process in the supervisor.</summary>
    public static string NameOf(string pool, string replica, bool second) => $"engine-{pool}-{replica}{(second ? "-b" : "")}";

    /// <summary>Address of an engine on this machine.</summary>
    public static Uri Root(EngineRun run) => new($"http://127.0.0.1:{run.Port}/");

    /// <summary>120 s and 20 s for each begun GiB of model, at most an hour: loading time grows with the file.</summary>
    public static TimeSpan ReadyWithin(long modelBytes) =>
        TimeSpan.FromSeconds(Math.Min(3600, 120 + (20 * Math.Ceiling(modelBytes / (double)(1L << 30)))));

    private Uri Health(EngineRun run) => new(Root(run), pool.Engine.HealthPath);

    /// <summary>What the supervisor is asked to run.</summary>
    internal ProcessPlan Plan(EngineRun run)
    {
        var bytes = run.Prepared.Model?.Bytes ?? 0;
        var request = new LaunchRequest
        {
            Pool = pool,
            Replica = replica,
            Port = run.Port,
            Prepared = run.Prepared,
            Threads = host.Threads.Of(pool, bytes),
            Machine = host.Machine,
        };
        var launch = EngineKindTable.Of(pool.Engine.Kind).Launch(request);
        var check = new ProbeCheck.Http(Health(run));
        return new ProcessPlan
        {
            Name = ProcessName,
            Kind = ProcessKind.Engine,
            Command = launch.Command,
            WorkingDirectory = options.WorkingDirectory,
            Environment = EngineEnvironment.Build(options.Environment, options.Folders, launch, request, warning =>
                LogEnvironment(logger, ProcessName, warning)),
            Restart = Policy,
            Ready = new ProbePlan { Check = check, AtFirst = s_probeFirst, Every = s_probeStarting, Within = pool.Engine.ReadyTimeout ?? ReadyWithin(bytes) },
            Live = new ProbePlan { Check = check, Every = s_probeRunning },
            Grace = options.Grace,
            LogPath = LogPath,
            Log = new LogOptions { Secrets = SecretValues.With(options.Secrets, ProcessName, pool.Engine.Env) },
        };
    }

    [LoggerMessage(EventId = 310, Level = LogLevel.Information, Message = "{Process}: {Command}")]
    private static partial void LogCommand(ILogger logger, string process, string command);

    [LoggerMessage(EventId = 311, Level = LogLevel.Warning, Message = "{Process}: {Warning}")]
    private static partial void LogEnvironment(ILogger logger, string process, string warning);
}
