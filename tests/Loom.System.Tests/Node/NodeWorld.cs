using System.Collections;
using System.Collections.Immutable;
using Loom.Core.Binaries;
using Loom.Core.Gpus;
using Loom.Core.Paths;
using Loom.Node;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Node.Threads;
using Loom.Processes;
using Loom.Testing;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.SystemTests.Node;

/// <summary>A node with a real supervisor and real children, in a folder of its own.</summary>
internal sealed class NodeWorld : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();
    private Provisioner? _provisioner;
    private NodeAgent? _agent;

    public NodeWorld() => Options = OptionsIn(_folder);

    public NodeOptions Options { get; set; }

    public Supervisor Supervisor { get; } = new(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false });

    public NodeAgent Agent => _agent ?? throw new InvalidOperationException("not started");

    public LaunchMachine Machine { get; } = new(1, null, FixedGpus.None);

    public long FreeBytes { get; set; } = long.MaxValue;

    public string Folder => _folder.Path;

    public ReplicaStatus Replica => Agent.Snapshot[0];

    public Provisioner Provisioner => _provisioner ??= NewProvisioner();

    public Provisioner NewProvisioner(Func<NodeOptions, NodeOptions>? change = null) =>
        new(change?.Invoke(Options) ?? Options, Supervisor, NewTransfer(_http), Machine, () => FreeBytes, TimeProvider.System);

    private static Transfer NewTransfer(HttpMessageInvoker http) => new(http, new TransferDisk(), TimeProvider.System, new Random(1));

    /// <summary>An engine of kind <c>command</c>: a web server of Python's, which is enough for a health check.</summary>
    public static PoolPlan WebPool(params string[] command) => new()
    {
        Id = "web",
        Models = ["some-model"],
        Engine = new EnginePlan { Name = "web", Kind = EngineKinds.Command, HealthPath = "/", Command = command.Length > 0
            ? [.. command] : ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"] },
    };

    public void Start(params PoolPlan[] pools)
    {
        if (pools.Length > 0)
        {
            Options = Options with { Pools = [.. pools] };
        }

        Start(static _ => null);
    }

    /// <summary>Starts what the options say, with somebody who knows the requests.</summary>
    public void Start(Func<NodeAgent, IReplicaTraffic?> traffic)
    {
        _agent = new NodeAgent(Options, Supervisor, Provisioner, Machine, new CpuFacts(2, null), TimeProvider.System, NullLoggerFactory.Instance);
        _agent.Start(traffic(_agent));
    }

    public Task Until(ReplicaState state, TimeSpan? limit = null) => Until(r => r.State == state, $"{state}", limit);

    public async Task Until(Func<ReplicaStatus, bool> condition, string what, TimeSpan? limit = null)
    {
        using var late = new CancellationTokenSource(limit ?? TimeSpan.FromSeconds(120));
        try
        {
            await foreach (var snapshot in Agent.WatchAsync(late.Token))
            {
                if (condition(snapshot[0]))
                {
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{Replica.Id} did not become {what}; it is {Replica.State}: {Replica.LastError}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null)
        {
            await _agent.DisposeAsync();
        }

        await Supervisor.DisposeAsync();
        _provisioner?.Dispose();
        _http.Dispose();
        _folder.Dispose();
    }

    private static NodeOptions OptionsIn(TempFolder folder)
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToImmutableDictionary(e => (string)e.Key, e => (string?)e.Value ?? "");
        Directory.CreateDirectory(folder["tmp"]);
        var first = FreePorts.Range(20);
        return new NodeOptions
        {
            NodeId = "here",
            WorkingDirectory = folder.Path,
            LogsDir = folder["logs"],
            CacheDir = folder["cache"],
            ModelsDir = folder["models"],
            Folders = new DataFolders(folder.Path, folder["cache"], folder["tmp"]),
            Environment = environment,
            LoomProgram = Path.Combine(AppContext.BaseDirectory, "loom"),
            EmbeddedSources = Path.Combine(Repository.Root, "engines", "embedded"),
            EnginePorts = (first, first + 19),
            Restart = new EngineRestartPolicy { BackoffFirst = TimeSpan.FromMilliseconds(50) },
        };
    }
}
