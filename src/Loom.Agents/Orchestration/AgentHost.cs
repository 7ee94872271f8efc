using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Orchestration;

/// <summary>How the main agent of a run ended: its end ends the run.</summary>
/// <param name="Exit">Its last exit; null when it never ran.</param>
/// <param name="State">Completed, failed, skipped or stopped.</param>
/// <param name="Reason">Why, for a person.</param>
public sealed record MainEnd(ExitInfo? Exit, ProcessState State, string? Reason)
{
    /// <summary>What a command that stands for it exits with: its code, 128 plus the signal that ended it, else 1.</summary>
    public int ExitCode => Exit switch
    {
        { Code: { } code } => code,
        { Signal: { } signal } => 128 + signal,
        _ => 1,
    };
}

/// <summary>
/// The single owner of a project's agents: starts them in order of what they depend on, stops them in reverse, and keeps doing so as agents, pools and wishes
/// change. Every call is a request over a channel, judged by <see cref="AgentMachine"/>; a call that is cancelled stops waiting, what it asked for still happens.
/// </summary>
public sealed partial class AgentHost : IAsyncDisposable
{
    private readonly TaskCompletionSource<MainEnd> _mainEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ISupervisor _supervisor;
    private readonly ILogger _logger;
    private readonly AgentEffects _effects;
    private readonly IDisposable _news;
    private readonly HostLoop _loop;
    private HostState _state;
    private ProjectPlan? _told;
    private Task _applying = Task.CompletedTask;
    private int _disposed;

    /// <summary>Takes charge of the agents of <paramref name="plan"/>; nothing is started before <see cref="StartAsync"/>.</summary>
    public AgentHost(ProjectPlan plan, ISupervisor supervisor, ILogger logger)
    {
        Plan = plan;
        _supervisor = supervisor;
        _logger = logger;
        _state = AgentMachine.New(plan);
        Publish();
        _loop = new HostLoop(() => _state, Apply, logger);
        _effects = new AgentEffects(supervisor, _loop.Tell, logger);
        _news = supervisor.Subscribe(snapshot => _loop.Tell(new HostEvent.Told(snapshot)));
    }

    /// <summary>The plan in force.</summary>
    public ProjectPlan Plan { get; private set; }

    /// <summary>Number of the plan in force: 1, and one more for each that was applied.</summary>
    public int Generation { get; private set; } = 1;

    /// <summary>Every replica of every agent, in the order of the plan.</summary>
    public ImmutableArray<AgentStatus> Agents { get; private set; } = [];

    /// <summary>Called by the owner loop after <see cref="Agents"/>, <see cref="Plan"/> or <see cref="Generation"/> changed. Be short.</summary>
    public event Action? Changed;

    /// <summary>Completes when the main agent rests for good: completed, failed, skipped or stopped. Never without a main agent.</summary>
    public Task<MainEnd> MainEnded => _mainEnded.Task;

    /// <summary>What ended the owner loop by an error; not empty = nothing is orchestrated any more, while the supervisor still keeps alive what runs.</summary>
    public IReadOnlyList<Exception> Faults => _loop.Fault is { } fault ? [fault] : [];

    /// <summary>How many callers wait for a state.</summary>
    internal int Waiting => _loop.Waiting;

    /// <summary>Ends with the owner loop: completed after disposal, faulted after an error.</summary>
    public Task Completion => _loop.Completion;

    /// <summary>
    /// Wants agents up: those whose conditions hold start at once, the others as soon as theirs do. Clears what failed and its counters; what runs is left alone.
    /// </summary>
    /// <param name="names">Agents or replicas; null = all, but for what has completed.</param>
    /// <param name="withDependencies">Bring up what they depend on, too, and wait for it; false starts them whatever state that is in.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Completes once all that can start now is spawned, or has failed to.</returns>
    /// <exception cref="UnknownAgentException">A name is nobody's; nothing was started.</exception>
    /// <exception cref="InvalidOperationException">Everything is being stopped, or the owner loop has failed.</exception>
    public async Task StartAsync(IReadOnlyCollection<string>? names, bool withDependencies, CancellationToken cancellationToken)
    {
        await _loop.AskAsync(
            state =>
            {
                ThrowIfClosing(state);
                return new HostEvent.StartWanted(names is null ? null : AgentNames.Resolve(state, names), withDependencies);
            },
            cancellationToken).ConfigureAwait(false);
        await _loop.WhenAsync(static s => s.Replicas.All(r => r.Phase is not ReplicaPhase.Up { Op: not null }), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops agents, in reverse order of dependency.</summary>
    /// <param name="names">Agents or replicas; null = all.</param>
    /// <param name="withDependents">
    /// What runs on an agent that stops altogether stops before it, and comes back by itself when that is started again; false leaves it running.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Completes when nothing of the named ones is left.</returns>
    /// <exception cref="UnknownAgentException">A name is nobody's; nothing was stopped.</exception>
    /// <exception cref="SurvivorsException">Something outlived KILL.</exception>
    public async Task StopAsync(IReadOnlyCollection<string>? names, bool withDependents, CancellationToken cancellationToken)
    {
        ImmutableArray<string> replicas = [];
        await _loop.AskAsync(state => new HostEvent.StopWanted(replicas = AgentNames.Resolve(state, names), withDependents), cancellationToken).ConfigureAwait(false);
        await DownAsync(replicas, static r => r.Phase is not ReplicaPhase.Ending { Wanted: false }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops agents in reverse order, then starts them as <see cref="StartAsync"/> does; not counted as a restart.</summary>
    /// <param name="names">Agents or replicas; null = all.</param>
    /// <param name="withDependencies">
    /// As for a start; besides, what asks for it (<c>on_dependency_restart</c>) restarts after them. False: only the named ones.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="UnknownAgentException">A name is nobody's; nothing was restarted.</exception>
    /// <exception cref="SurvivorsException">Something outlived KILL; what it belongs to is not started beside it.</exception>
    public async Task RestartAsync(IReadOnlyCollection<string>? names, bool withDependencies, CancellationToken cancellationToken)
    {
        ImmutableArray<string> replicas = [];
        await _loop.AskAsync(
            state =>
            {
                ThrowIfClosing(state);
                return new HostEvent.RestartWanted(replicas = AgentNames.Resolve(state, names), withDependencies);
            },
            cancellationToken).ConfigureAwait(false);
        await DownAsync(replicas, static r => r.Phase is not (ReplicaPhase.Ending or ReplicaPhase.Up { Op: not null }), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes a change of an agent's files: what of it runs is exchanged on trial, what waits or was stopped is left as it is.</summary>
    /// <param name="agent">Name of the agent; an unknown one does nothing.</param>
    /// <param name="reason">Shown meanwhile.</param>
    /// <param name="cascade">What depends on it restarts once it is ready again.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Completes once the new incarnations are spawned, or have failed to.</returns>
    public async Task ReloadAsync(string agent, string reason, bool cascade, CancellationToken cancellationToken)
    {
        await _loop.AskAsync(_ => new HostEvent.ReloadWanted(agent, reason, cascade), cancellationToken).ConfigureAwait(false);
        await _loop.WhenAsync(s => s.Replicas.All(r => r.Agent.Name != agent || r.Phase is not ReplicaPhase.Up { Op: not null }), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops everything for good, in reverse order of dependency. What outlives KILL is left for the supervisor's own end to name.</summary>
    /// <param name="hurry">Ends all patience: no grace, no order.</param>
    /// <returns>Completes when no agent runs; at once after a fault of the owner loop, since then only the supervisor can stop them.</returns>
    public async Task StopAllAsync(CancellationToken hurry)
    {
        using var registration = hurry.Register(() =>
        {
            _supervisor.Hurry();
            _loop.Tell(new HostEvent.Hurry());
        });
        try
        {
            await _loop.AskAsync(static _ => new HostEvent.CloseWanted(), CancellationToken.None).ConfigureAwait(false);
            await _loop.WhenAsync(static s => s.Replicas.All(r => r.Phase is ReplicaPhase.Off), CancellationToken.None).ConfigureAwait(false);
        }
        catch (InvalidOperationException e)
        {
            LogNotStopped(_logger, e.Message);
        }
    }

    /// <summary>
    /// Puts another plan in force: added agents start, removed ones stop and are forgotten, changed ones restart, the others are not touched. One after the other:
    /// a second call waits until the first has returned.
    /// </summary>
    /// <returns>What was done, once all that can start now is spawned.</returns>
    /// <exception cref="InvalidOperationException">Everything is being stopped, or the owner loop has failed.</exception>
    public async Task<ApplyResult> ApplyAsync(ProjectPlan next, CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var before = Interlocked.Exchange(ref _applying, done.Task);
        try
        {
            await before.WaitAsync(cancellationToken).ConfigureAwait(false);
            return await ApplyOneAsync(next, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = before.ContinueWith(_ => done.TrySetResult(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>What putting <paramref name="next"/> in force would do.</summary>
    public ImmutableArray<AgentChange> Drift(ProjectPlan next) => PlanDiff.Between(Plan, next);

    /// <summary>Tells how a pool is; agents may wait for it. Never blocks.</summary>
    /// <param name="pool">Its name, without <c>pools.</c>.</param>
    /// <param name="started">A replica of it runs.</param>
    /// <param name="ready">A replica of it serves.</param>
    /// <param name="failed">It has given up.</param>
    public void PoolChanged(string pool, bool started, bool ready, bool failed) => _loop.Tell(new HostEvent.PoolTold(pool, started, ready, failed));

    /// <summary>Waits until every wanted agent is ready, completed, failed, skipped or blocked.</summary>
    /// <param name="onChange">Called by the owner loop with each view on the way. Be short.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="InvalidOperationException">The owner loop has failed.</exception>
    public async Task<ImmutableArray<AgentStatus>> SettledAsync(Action<ImmutableArray<AgentStatus>>? onChange, CancellationToken cancellationToken)
    {
        ImmutableArray<AgentStatus> last = [];
        await _loop.WhenAsync(
            _ =>
            {
                last = Agents;
                onChange?.Invoke(last);
                return last.All(a => a.Settled);
            },
            cancellationToken).ConfigureAwait(false);
        return last;
    }

    /// <summary>Whether an agent or a replica has that name.</summary>
    public bool Knows(string name) => Plan.Agents.Any(a => a.Name == name) || Agents.Any(a => a.Name == name);

    /// <summary>Waits until the agents named (null = all) are as <paramref name="done"/> says, asked after each change.</summary>
    /// <exception cref="UnknownAgentException">A name is nobody's.</exception>
    /// <exception cref="InvalidOperationException">The owner loop has failed.</exception>
    public async Task<ImmutableArray<AgentStatus>> WaitAsync(
        IReadOnlyCollection<string>? names, Func<ImmutableArray<AgentStatus>, bool> done, CancellationToken cancellationToken)
    {
        ImmutableArray<AgentStatus> last = [];
        ImmutableArray<string>? replicas = null;
        await _loop.WhenAsync(
            state =>
            {
                replicas ??= AgentNames.Resolve(state, names);
                last = [.. Agents.Where(a => replicas.Value.Contains(a.Name))];
                return done(last);
            },
            cancellationToken).ConfigureAwait(false);
        return last;
    }

    /// <summary>Stops every agent and ends the loop.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (_loop.Fault is null)
        {
            await StopAllAsync(CancellationToken.None).ConfigureAwait(false);
        }

        _news.Dispose();
        await _loop.DisposeAsync().ConfigureAwait(false);
        await _effects.Idle.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Waits for replicas that are to stop.</summary>
    /// <exception cref="SurvivorsException">Something of them outlived KILL.</exception>
    private async Task DownAsync(ImmutableArray<string> replicas, Func<AgentReplica, bool> done, CancellationToken cancellationToken)
    {
        ImmutableArray<string> survivors = [];
        await _loop.WhenAsync(
            s =>
            {
                survivors = [.. s.Replicas.Where(r => replicas.Contains(r.Name)).SelectMany(r => r.Survivors)];
                return s.Replicas.All(r => !replicas.Contains(r.Name) || done(r));
            },
            cancellationToken).ConfigureAwait(false);
        if (!survivors.IsEmpty)
        {
            throw new SurvivorsException(survivors);
        }
    }

    private async Task<ApplyResult> ApplyOneAsync(ProjectPlan next, CancellationToken cancellationToken)
    {
        var result = new ApplyResult(0, []);
        await _loop.AskAsync(
            state =>
            {
                ThrowIfClosing(state);
                var changes = PlanDiff.Between(Plan, next);
                if (changes.Any(c => c.Kind != AgentChangeKind.Unchanged))
                {
                    Generation++;
                    Plan = next;
                }

                result = new ApplyResult(Generation, changes);
                return new HostEvent.PlanWanted(next);
            },
            cancellationToken).ConfigureAwait(false);
        LogApplied(_logger, result.Generation, result.ToString());
        await _loop.WhenAsync(
            static s => s.Replicas.All(r => r.Phase is not (ReplicaPhase.Ending or ReplicaPhase.Changing or ReplicaPhase.Up { Op: not null })),
            cancellationToken).ConfigureAwait(false);
        return result;
    }

    private static void ThrowIfClosing(HostState state)
    {
        if (state.Closing)
        {
            throw new InvalidOperationException("the project is being stopped; nothing is started any more");
        }
    }

    private void Apply(HostEvent happened)
    {
        var (state, actions) = AgentMachine.Apply(_state, happened);
        _state = state;
        foreach (var action in actions)
        {
            _effects.Perform(action);
        }

        Publish();
    }

    private void Publish()
    {
        ImmutableArray<AgentStatus> now = [.. _state.Replicas.Select(AgentStatus.Of)];
        if (!now.SequenceEqual(Agents) || !ReferenceEquals(Plan, _told))
        {
            Agents = now;
            _told = Plan;
            Changed?.Invoke();
        }

        if (!_mainEnded.Task.IsCompleted && _state.Replicas.FirstOrDefault(r => r.Agent.IsMain) is { } main && Rests(main))
        {
            var (shown, reason) = main.Shown;
            _mainEnded.TrySetResult(new MainEnd(main.Exit, shown, reason));
        }
    }

    private static bool Rests(AgentReplica main) =>
        (main.Phase is ReplicaPhase.Off && (main.Known || main.Fault is not null)) // known or refused: it was asked for
        || main.Phase is ReplicaPhase.Waiting { Shown: ProcessState.Skipped } || main.Told is ProcessState.Completed or ProcessState.Failed;

    [LoggerMessage(EventId = 3102, Level = LogLevel.Information, Message = "generation {Generation} is in force: {Changes}")]
    private static partial void LogApplied(ILogger logger, int generation, string changes);

    [LoggerMessage(EventId = 3103, Level = LogLevel.Error, Message = "agents are not stopped in order: {Reason}")]
    private static partial void LogNotStopped(ILogger logger, string reason);
}
