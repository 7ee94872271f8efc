using System.Collections.Immutable;
using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Processes.Guarding;
using Loom.Processes.Logs;
using Loom.Processes.Supervision;
using Loom.Processes.Table;
using Microsoft.Extensions.Logging;

namespace Loom.Processes;

/// <summary>
/// The supervisor: one owner loop that takes requests and news in turn, asks <see cref="ChildMachine"/> what follows, and lets <see cref="ChildEffects"/> do it.
/// </summary>
public sealed partial class Supervisor : ISupervisor
{
    private static readonly ImmutableArray<ImmutableArray<ProcessKind>> s_stopOrder =
        [[ProcessKind.Agent, ProcessKind.Job], [ProcessKind.Mcp], [ProcessKind.Engine], [ProcessKind.Runtime]];

    private readonly SupervisorOptions _options;
    private readonly SteadyClock _clock;
    private readonly ChildEffects _effects;
    private readonly Channel<Action> _requests = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly List<SupervisedChild> _children = [];
    private readonly Audience _audience;
    private readonly UsageSample _usage;
    private readonly ITimer _alarm;
    private readonly BackgroundLoop _loop;
    private ImmutableArray<ProcessSnapshot> _published = [];
    private ImmutableDictionary<string, ChildLog> _logs = ImmutableDictionary<string, ChildLog>.Empty;
    private bool _hurry;
    private int _disposed;

    public Supervisor(SupervisorOptions options)
    {
        _options = options;
        _clock = new SteadyClock(options.Time);
        _audience = new Audience(options.Logger);
        _usage = new UsageSample(options.Time);
        _effects = new ChildEffects(options, _clock, action => Post(action), (child, news) => Post(() => Apply(child, news)), TakeStrays);
        _alarm = options.Time.CreateTimer(_ => Post(static () => { }), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _loop = BackgroundLoop.Start("supervisor", RunAsync, options.Logger);
    }

    public ImmutableArray<ProcessSnapshot> Processes => _published;

    /// <summary>The error that ended the owner loop, or null; with one, nothing is supervised any more.</summary>
    public Exception? Fault => _loop.Fault;

    /// <summary>Ends with the owner loop: completed after disposal, faulted after an error; then nothing is supervised any more.</summary>
    public Task Completion => _loop.Completion;

    /// <summary>Processes of ours seen outside their parents' sessions, at most a second old.</summary>
    public ImmutableArray<ProcessIdentity> Strays { get; private set; } = [];

    /// <summary>Called by the owner loop after <see cref="Strays"/> changed.</summary>
    public event Action? StraysChanged;

    /// <summary>The guardian process, once it runs; null without one.</summary>
    public ProcessIdentity? Guardian => _effects.GuardianIdentity;

    public Task AddAsync(ProcessPlan plan, bool start, CancellationToken cancellationToken) => AskAsync(
        () =>
        {
            PlanCheck.ThrowIfImpossible(plan);
            if (_children.Exists(c => c.Name == plan.Name))
            {
                throw new ArgumentException($"there is already a process '{plan.Name}': names are unique in a run", nameof(plan));
            }

            var log = new ChildLog(plan, _options.Time, _options.Logger, _audience.Tell);
            var environment = plan.Environment.SetItem(ChildEnvironment.RunVariable, _options.RunId).SetItem(ChildEnvironment.ProcessVariable, plan.Name);
            var child = new SupervisedChild(ChildMachine.New(plan, _clock.Now), log, environment);
            _children.Add(child);
            ImmutableInterlocked.TryAdd(ref _logs, plan.Name, log);
            if (!start)
            {
                Publish(child);
                return Task.FromResult(child.State);
            }

            Apply(child, new ChildEvent.Start());
            return child.When(Launched);
        },
        cancellationToken);

    public Task HoldAsync(string name, ProcessState shown, string reason, CancellationToken cancellationToken)
    {
        if (shown is not (ProcessState.Pending or ProcessState.Skipped or ProcessState.Blocked))
        {
            throw new ArgumentOutOfRangeException(nameof(shown), shown, "a process is held as pending, skipped or blocked");
        }

        return AskAsync(
            () =>
            {
                var child = Find(name);
                if (child.State.Phase is not Phase.Idle)
                {
                    throw new InvalidOperationException($"process '{name}' is {child.State.Shown} and cannot be held as {shown}: stop it first");
                }

                Apply(child, new ChildEvent.Hold(shown, reason));
                return Task.FromResult(true);
            },
            cancellationToken);
    }

    public Task StartAsync(string name, CancellationToken cancellationToken) => AskAsync(
        () =>
        {
            var child = Find(name);
            Apply(child, new ChildEvent.Start());
            return child.When(Launched);
        },
        cancellationToken);

    public async Task StopAsync(string name, CancellationToken cancellationToken)
    {
        var state = await AskAsync(() => StopOne(Find(name)), cancellationToken).ConfigureAwait(false);
        ThrowIfSurvived(StillThere(state));
    }

    public Task RestartAsync(string name, CancellationToken cancellationToken, string? reason = null) =>
        AnewAsync(name, new ChildEvent.Restart(reason), cancellationToken);

    public Task ReloadAsync(string name, string reason, CancellationToken cancellationToken) =>
        AnewAsync(name, new ChildEvent.Reload(reason), cancellationToken);

    public void Note(string name, string? note) => Post(() =>
    {
        if (_children.Find(c => c.Name == name) is { } child)
        {
            Apply(child, new ChildEvent.Note(note));
        }
    });

    public ProcessUsage? Usage(string name) => _published.FirstOrDefault(p => p.Name == name) is { Pid: { } pid, StartTicks: { } ticks }
        ? _usage.Of(new ProcessIdentity(pid, ticks))
        : null;

    public async Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        await StopAsync(name, cancellationToken).ConfigureAwait(false);
        await AskAsync(
            () =>
            {
                if (_children.Find(c => c.Name == name) is { State.Phase: Phase.Idle } child)
                {
                    _children.Remove(child);
                    ImmutableInterlocked.TryRemove(ref _logs, name, out _);
                    child.Log.Dispose();
                    child.Group?.Remove();
                    child.Abandon(new ArgumentException($"process '{name}' was removed", nameof(name)));
                    PublishAll();
                }

                return Task.FromResult(true);
            },
            cancellationToken).ConfigureAwait(false);
    }

    public async Task<ProcessSnapshot> WaitAsync(string name, CancellationToken cancellationToken)
    {
        var state = await AskAsync(
            () => Find(name).When(s => s.Phase is Phase.Idle { Shown: not ProcessState.Pending }),
            cancellationToken).ConfigureAwait(false);
        return state.Snapshot();
    }

    public async Task StopAllAsync(CancellationToken cancellationToken)
    {
        var survivors = ImmutableArray.CreateBuilder<string>();
        foreach (var kinds in s_stopOrder)
        {
            var layer = await AskAsync(
                () => Task.FromResult(_children.Where(c => kinds.Contains(c.State.Plan.Kind)).Select(StopOne).ToList()),
                cancellationToken).ConfigureAwait(false);
            foreach (var stopped in layer)
            {
                survivors.AddRange(StillThere(await UnlessFaultedAsync(stopped, cancellationToken).ConfigureAwait(false)));
            }
        }

        survivors.AddRange(await AskAsync(() => _effects.SweepAsync(), cancellationToken).ConfigureAwait(false));
        ThrowIfSurvived(survivors.ToImmutable());
    }

    public void Hurry() => Post(() =>
    {
        _hurry = true;
        foreach (var child in _children)
        {
            Apply(child, new ChildEvent.Hurry());
        }
    });

    public ImmutableArray<string> Tail(string name, int lines) => _logs.TryGetValue(name, out var log) ? log.Tail(lines) : [];

    public void ReopenLogs()
    {
        foreach (var log in _logs.Values)
        {
            log.Reopen();
        }
    }

    public IDisposable Subscribe(Action<ProcessSnapshot> onChange) => _audience.Subscribe(onChange);

    public IDisposable FollowOutput(Action<LogLine> onLine) => _audience.Follow(onLine);

    /// <summary>
    /// Stops everything and waits for it; survivors are logged, since disposal does not throw. After a fault nothing can be stopped here: the guardian is
    /// left to end all of it.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var stopped = false;
        if (_loop.Fault is null)
        {
            try
            {
                await StopAllAsync(CancellationToken.None).ConfigureAwait(false);
                stopped = true;
            }
            catch (SurvivorsException e)
            {
                LogSurvivors(_options.Logger, e.Message);
                stopped = true;
            }
            catch (Exception e)
            {
                LogNotStopped(_options.Logger, e); // the loop died meanwhile, or the system would not let itself be looked at
            }
        }

        _requests.Writer.TryComplete();
        await _alarm.DisposeAsync().ConfigureAwait(false);
        await _loop.DisposeAsync().ConfigureAwait(false);
        if (!stopped || _loop.Fault is not null)
        {
            _effects.LeaveToGuardian();
        }

        await _effects.DisposeAsync().ConfigureAwait(false);
        foreach (var child in _children)
        {
            child.Log.Dispose();
            child.Abandon(new ObjectDisposedException(nameof(Supervisor)));
        }
    }

    private static bool Launched(ChildState state) => state.Phase is not Phase.Launching && state.Incarnation > 0;

    /// <summary>What was left behind when it was given up may have ended since.</summary>
    private static ImmutableArray<string> StillThere(ChildState state) => [.. state.Survivors.Where(s => Leftovers.IsAlive(s.Identity)).Select(s => s.ToString())];

    private static void ThrowIfSurvived(ImmutableArray<string> survivors)
    {
        if (!survivors.IsEmpty)
        {
            throw new SurvivorsException(survivors);
        }
    }

    /// <summary>Asks for a new incarnation and waits until it is spawned or has failed to.</summary>
    private Task AnewAsync(string name, ChildEvent asked, CancellationToken cancellationToken) => AskAsync(
        () =>
        {
            var child = Find(name);
            var before = child.State.Incarnation;
            var stays = child.State.Phase is Phase.Launching;
            Apply(child, asked);
            return child.When(s => Launched(s) && (stays || s.Incarnation > before || s.Phase is Phase.Idle));
        },
        cancellationToken);

    private Task<ChildState> StopOne(SupervisedChild child)
    {
        var incarnation = child.State.Incarnation;
        Apply(child, new ChildEvent.Stop());
        if (_hurry)
        {
            Apply(child, new ChildEvent.Hurry());
        }

        return child.When(s => s.Ended >= incarnation || s.Phase is Phase.Idle);
    }

    private SupervisedChild Find(string name) => _children.Find(c => c.Name == name)
        ?? throw new ArgumentException($"there is no process '{name}'; there are: {string.Join(", ", _children.Select(c => c.Name))}", nameof(name));

    /// <summary>Runs <paramref name="ask"/> on the loop and waits for what it returns, off the loop.</summary>
    private async Task<T> AskAsync<T>(Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        var taken = new TaskCompletionSource<Task<T>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = Post(() =>
        {
            try
            {
                taken.SetResult(ask());
            }
            catch (Exception e)
            {
                taken.SetException(e);
            }
        });
        if (!posted)
        {
            // A loop that fails refuses requests a moment before it is seen to have failed.
            await _loop.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw _loop.Fault is { } fault ? Failed(fault) : new ObjectDisposedException(nameof(Supervisor));
        }

        var answer = await UnlessFaultedAsync(taken.Task, cancellationToken).ConfigureAwait(false);
        return await UnlessFaultedAsync(answer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for what only the loop can complete; a loop that died will not.</summary>
    private async Task<T> UnlessFaultedAsync<T>(Task<T> task, CancellationToken cancellationToken)
    {
        var first = await Task.WhenAny(task, _loop.Completion).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (first != task && _loop.Fault is { } fault)
        {
            throw Failed(fault);
        }

        return await task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private static ObjectDisposedException Failed(Exception fault) => new($"the supervisor failed: {fault.Message}", fault);

    [LoggerMessage(EventId = 2023, Level = LogLevel.Error, Message = "stopping failed; what still runs is left to the guardian")]
    private static partial void LogNotStopped(ILogger logger, Exception error);

    [LoggerMessage(EventId = 2021, Level = LogLevel.Error, Message = "stopping left something behind: {Survivors}")]
    private static partial void LogSurvivors(ILogger logger, string survivors);
}
