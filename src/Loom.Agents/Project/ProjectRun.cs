using System.Collections.Immutable;
using Loom.Core.Storage;
using Loom.Processes;
using Loom.Processes.Guarding;
using Loom.Wire;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Agents.Project;

/// <summary>What a run needs to know.</summary>
public sealed record ProjectRunOptions
{
    /// <summary>Folder that holds <c>loom.toml</c>.</summary>
    public required string ProjectFolder { get; init; }

    /// <summary>Absolute path of the <c>loom</c> executable, which is also the guardian; null = no guardian.</summary>
    public required string? Executable { get; init; }

    public required string LoomVersion { get; init; }

    /// <summary><c>full</c> or <c>bridge-only</c>.</summary>
    public string Mode { get; init; } = "full";

    /// <summary>SHA-256 of the configuration, to tell drift.</summary>
    public string? ConfigSha256 { get; init; }

    /// <summary>Whether processes get cgroups of their own (<c>runtime.cgroup</c>). Default off.</summary>
    public CgroupUse Cgroup { get; init; }

    /// <summary>See <see cref="SupervisorOptions.AdoptStrays"/>.</summary>
    public bool AdoptStrays { get; init; } = true;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public Random Random { get; init; } = new();

    public ILogger Logger { get; init; } = NullLogger.Instance;
}

/// <summary>
/// One run of a project: holds its lock, its state file, its control socket and its supervisor, from the first moment to the last. Exactly one at a time per
/// project folder.
/// </summary>
public sealed class ProjectRun : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    private readonly FileLock _lock;
    private readonly ProjectRunOptions _options;
    private readonly Supervisor _supervisor;
    private readonly StateFile _file;
    private readonly ControlSocket _socket;
    private readonly IDisposable _changes;
    private readonly CancellationTokenSource _down = new();
    private readonly CancellationTokenSource _broken = new();
    private readonly RunState _state;
    private ImmutableSortedDictionary<string, string> _addresses = ImmutableSortedDictionary<string, string>.Empty;
    private volatile bool _ready;
    private volatile Func<ImmutableArray<ReplicaStatus>> _pools = static () => [];
    private volatile IProjectSystems? _systems;
    private volatile ProjectAgents? _agents;
    private volatile string? _configSha256;
    private int _disposed;

    private ProjectRun(FileLock held, RunDirectory directory, ProjectRunOptions options)
    {
        _lock = held;
        _options = options;
        Directory = directory;
        RunId = Project.RunId.New(options.Time, options.Random);
        Token = directory.CreateToken();
        var self = ProcessIdentities.Self();
        _state = new RunState
        {
            RunId = RunId,
            BootId = RunState.CurrentBoot(),
            Mode = options.Mode,
            StartedAt = options.Time.GetUtcNow(),
            LoomVersion = options.LoomVersion,
            Supervisor = new ProcessRef(self.Pid, self.StartTicks),
            Socket = directory.Socket,
        };
        _state.Write(directory.State); // the run id is on disk before anything is spawned
        _supervisor = new Supervisor(new SupervisorOptions
        {
            RunId = RunId,
            GuardianCommand = options.Executable is { } loom ? Guardian.CommandLine(loom, directory.Path) : [],
            AdoptStrays = options.AdoptStrays,
            Cgroup = options.Cgroup,
            Time = options.Time,
            Random = options.Random,
            Logger = options.Logger,
        });
        _file = new StateFile(directory.State, () => State, options.Time, options.Logger);
        _supervisor.StraysChanged += () => _file.Touch(urgent: true);
        _changes = _supervisor.Subscribe(_file.Changed);
        _ = _supervisor.Completion.ContinueWith(_ => _broken.Cancel(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        _configSha256 = options.ConfigSha256;
        var desk = new ControlDesk(_supervisor, () => State, () => _agents, () => _systems, Applied, options.Time);
        _socket = new ControlSocket(directory.Socket, _supervisor, desk, RequestDown, options.Logger);
    }

    public RunDirectory Directory { get; }

    /// <summary>Unique and sortable by time.</summary>
    public string RunId { get; }

    /// <summary>The runtime token of this run, 64 hexadecimal digits.</summary>
    public string Token { get; }

    public ISupervisor Supervisor => _supervisor;

    /// <summary>After disposal: what could not be ended; not empty = exit code 1, and the run's files stay.</summary>
    public ImmutableArray<string> Survivors { get; private set; } = [];

    /// <summary>Fires when somebody asks this run to stop over the control socket.</summary>
    public CancellationToken DownRequested => _down.Token;

    /// <summary>Fires when the supervisor has failed: nothing is watched or stopped any more, so this run must end. Its guardian then ends the processes.</summary>
    public CancellationToken Broken => _broken.Token;

    /// <summary>Why <see cref="Broken"/> fired; null while all is well.</summary>
    public Exception? Fault => _supervisor.Fault;

    /// <summary>The state as of now; what the file says, or will say within 200 ms.</summary>
    public RunState State => _state with
    {
        Addresses = _addresses,
        Ready = _ready,
        Guardian = _supervisor.Guardian is { } guardian ? new ProcessRef(guardian.Pid, guardian.StartTicks) : null,
        Pools = [.. _pools().Select(PoolRecord.From)],
        Systems = _systems?.Records ?? [],
        Generation = _agents?.Host.Generation ?? 1,
        ConfigSha256 = _configSha256,
        Processes = Processes(),
        Strays = [.. _supervisor.Strays.Select(s => new ProcessRef(s.Pid, s.StartTicks))],
    };

    /// <summary>Begins a run: takes the lock, waits for a guardian still at work, cleans up after a run that died.</summary>
    /// <returns>Null when a runtime of this project is alive; then speak to it with <see cref="ControlClient"/>.</returns>
    /// <exception cref="IOException">The run directory cannot be used; the message says why.</exception>
    /// <exception cref="SurvivorsException">Processes of an earlier run cannot be ended.</exception>
    public static async Task<ProjectRun?> StartAsync(ProjectRunOptions options, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Prepare(options.ProjectFolder);
        var held = FileLock.TryAcquire(directory.Lock);
        if (held is null)
        {
            return null;
        }

        try
        {
            var survivors = await new Down(directory, options.Time, options.Logger).CleanAsync(cancellationToken).ConfigureAwait(false);
            return survivors.IsEmpty ? new ProjectRun(held, directory, options) : throw new SurvivorsException(survivors);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Finds the runtime that holds the project's lock: what a second <c>up</c> attaches to. Waits while it is between taking the lock and writing its state.
    /// </summary>
    /// <param name="projectFolder">Folder that holds <c>loom.toml</c>.</param>
    /// <param name="time">Clock.</param>
    /// <param name="limit">Longest wait.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Its state; null when no living runtime showed itself.</returns>
    public static async Task<RunState?> FindLiveAsync(string projectFolder, TimeProvider time, TimeSpan limit, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Of(projectFolder);
        var start = time.GetTimestamp();
        while (true)
        {
            try
            {
                if (RunState.Read(directory.State) is { } state && state.BootId == RunState.CurrentBoot() && Leftovers.IsAlive(state.Supervisor.Identity))
                {
                    return state;
                }
            }
            catch (InvalidDataException)
            {
                // Of another schema, about to be replaced or not: only time tells.
            }

            if (time.GetElapsedTime(start) >= limit)
            {
                return null;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until the start of the runtime that holds the project's lock is over.</summary>
    /// <returns>Its state; null when it has ended, or there was none.</returns>
    public static async Task<RunState?> FindReadyAsync(string projectFolder, TimeProvider time, CancellationToken cancellationToken)
    {
        while (await FindLiveAsync(projectFolder, time, TimeSpan.Zero, cancellationToken).ConfigureAwait(false) is { } state)
        {
            if (state.Ready)
            {
                return state;
            }

            await Task.Delay(s_look, time, cancellationToken).ConfigureAwait(false);
        }

        return null;
    }

    /// <summary>Publishes an address that was really bound.</summary>
    /// <param name="part"><c>api</c>, <c>node</c>, <c>bridge</c> or <c>dashboard</c>.</param>
    /// <param name="address">Host and port, or a URL.</param>
    public void SetAddress(string part, string address)
    {
        ImmutableInterlocked.Update(ref _addresses, a => a.SetItem(part, address));
        _file.Touch(urgent: true);
    }

    /// <summary>Names who knows the pools; asked anew for each state.</summary>
    public void ShowPools(Func<ImmutableArray<ReplicaStatus>> pools)
    {
        _pools = pools;
        PoolsChanged();
    }

    /// <summary>Names who owns the dataflow systems: from now on they can be steered over the control socket, and show in the state.</summary>
    public void ShowSystems(IProjectSystems systems)
    {
        _systems = systems;
        SystemsChanged();
    }

    /// <summary>Says that the systems are not what they were.</summary>
    public void SystemsChanged() => _file.Touch(urgent: false);

    /// <summary>Names who owns the agents: from now on they can be steered over the control socket, and show in the state.</summary>
    public void ShowAgents(ProjectAgents agents)
    {
        _agents = agents;
        agents.Host.Changed += () => _file.Touch(urgent: false);
        _file.Touch(urgent: true);
    }

    /// <summary>Says that the pools are not what they were.</summary>
    public void PoolsChanged() => _file.Touch(urgent: false);

    /// <summary>Says that the start is over; <c>up --detach</c> waits for it.</summary>
    public void SetReady()
    {
        _ready = true;
        _file.Touch(urgent: true);
    }

    /// <summary>Stops everything, removes the run's files and gives the lock back. Files stay when something survived, so that <c>down</c> can try again.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        try
        {
            await _supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (SurvivorsException e)
        {
            Survivors = e.Survivors;
        }
        catch (ObjectDisposedException) when (Fault is not null)
        {
            // Its guardian ends what runs as soon as it hears nothing more; the files stay, and the next start waits for it.
            Survivors = ["unknown: the supervisor had failed, see loom.log"];
        }

        await _socket.DisposeAsync().ConfigureAwait(false);
        _changes.Dispose();
        await _supervisor.DisposeAsync().ConfigureAwait(false);
        await _file.DisposeAsync().ConfigureAwait(false);
        if (Survivors.IsEmpty)
        {
            Directory.RemoveRunFiles();
        }

        _lock.Dispose();
        _down.Dispose();
        _broken.Dispose();
    }

    private void Applied(PlanReading reading)
    {
        _configSha256 = reading.ConfigSha256;
        _file.Touch(urgent: true);
    }

    /// <summary>What the supervisor has, and the agents it never got.</summary>
    private ImmutableArray<ProcessRecord> Processes()
    {
        var running = _supervisor.Processes;
        var agents = _agents?.Host.Agents ?? [];
        var replicas = agents.ToDictionary(a => a.Name, a => a.Plan.Replica, StringComparer.Ordinal);
        return
        [
            .. running.Select(p => ProcessRecord.From(p) with { Replica = replicas.GetValueOrDefault(p.Name) }),
            .. agents.Where(a => !running.Any(p => p.Name == a.Name)).Select(a => ProcessRecord.From(a, _state.StartedAt)),
        ];
    }

    private void RequestDown(bool force)
    {
        if (force)
        {
            _supervisor.Hurry();
        }

        _down.Cancel();
    }
}
