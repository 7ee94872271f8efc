using System.Collections.Immutable;
using System.Globalization;
using System.Threading.Channels;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Core.Loops;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Reload;

/// <summary>Begins to watch a path; see <see cref="FileWatch"/>.</summary>
internal delegate IAsyncDisposable PathWatch(string path, WatchFilter filter, Action<string> changed, Action<string, string> polls);

/// <summary>
/// Reloads agents when their files change: watches what the plan in force names, lets <see cref="ReloadMachine"/> decide, and keeps the old process while the
/// check fails. One loop owns it all; checks run beside it, as supervised processes.
/// </summary>
public sealed partial class HotReload : IAsyncDisposable
{
    /// <summary>Longest check; one that takes longer has failed.</summary>
    public static readonly TimeSpan CheckWithin = TimeSpan.FromMinutes(2);

    private const int NoteLines = 20;

    private readonly Channel<Action> _requests = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<string, Watched> _agents = new(StringComparer.Ordinal);
    private readonly AgentHost _host;
    private readonly ISupervisor _supervisor;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _started;
    private readonly ITimer _alarm;
    private readonly BackgroundLoop _loop;
    private readonly CancellationTokenSource _end = new();
    private readonly List<Task> _work = [];
    private readonly HashSet<string> _causes = new(StringComparer.Ordinal);
    private readonly PathWatch _watch;
    private ProjectPlan? _armed;
    private int _disposed;

    /// <summary>Begins to watch.</summary>
    public HotReload(AgentHost host, ISupervisor supervisor, TimeProvider time, ILogger logger)
        : this(host, supervisor, time, logger, (path, filter, changed, polls) => new FileWatch(path, filter, changed, polls, time, logger))
    {
    }

    /// <param name="host">Whose agents.</param>
    /// <param name="supervisor">Runs the checks.</param>
    /// <param name="time">Clock of the quiet times.</param>
    /// <param name="logger">Where reloads are reported.</param>
    /// <param name="watch">Watches one path.</param>
    internal HotReload(AgentHost host, ISupervisor supervisor, TimeProvider time, ILogger logger, PathWatch watch)
    {
        _watch = watch;
        _host = host;
        _supervisor = supervisor;
        _time = time;
        _logger = logger;
        _started = time.GetTimestamp();
        _alarm = time.CreateTimer(_ => Post(Tick), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        host.Changed += PlanMayHaveChanged;
        Post(Arm);
        _loop = BackgroundLoop.Start("hot reload", RunAsync, logger);
    }

    /// <summary>What ended the loop by an error; not empty = changes are not seen any more.</summary>
    public IReadOnlyList<Exception> Faults => _loop.Fault is { } fault ? [fault] : [];

    /// <summary>Ends watching and a check under way; no agent is touched.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _host.Changed -= PlanMayHaveChanged;
        _requests.Writer.TryComplete();
        await _alarm.DisposeAsync().ConfigureAwait(false);
        await _end.CancelAsync().ConfigureAwait(false);
        await _loop.DisposeAsync().ConfigureAwait(false);
        foreach (var agent in _agents.Values)
        {
            await agent.DisposeAsync().ConfigureAwait(false);
        }

        await Task.WhenAll(_work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
    }

    // Steady: a clock set by an hour neither holds a reload back nor counts old ones again.
    private DateTimeOffset Now => DateTimeOffset.UnixEpoch + _time.GetElapsedTime(_started);

    private void Post(Action request) => _requests.Writer.TryWrite(request);

    private void PlanMayHaveChanged()
    {
        if (!ReferenceEquals(_host.Plan, _armed))
        {
            Post(Arm);
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (await _requests.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_requests.Reader.TryRead(out var request))
            {
                request();
            }

            var next = _agents.Values.Min(a => a.State.Alarm);
            var wait = next - Now;
            _alarm.Change(wait is null ? Timeout.InfiniteTimeSpan : wait > TimeSpan.FromMilliseconds(1) ? wait.Value : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Watches what the plan in force names, and nothing else. A watch that stays the same is not touched; one that differs goes on where the old one stood.</summary>
    private void Arm()
    {
        var plan = _host.Plan;
        if (ReferenceEquals(plan, _armed))
        {
            return;
        }

        _armed = plan;
        var before = _agents.ToDictionary(StringComparer.Ordinal);
        _agents.Clear();
        foreach (var agent in plan.Agents)
        {
            var old = before.GetValueOrDefault(agent.Name);
            if (old is not null && PlanDiff.SameWatch(old.Plan.Watch, agent.Watch))
            {
                old.Plan = agent;
                _agents.Add(agent.Name, old);
                before.Remove(agent.Name);
            }
            else if (agent.Watch is { } watch)
            {
                var watched = new Watched(agent, ReloadMachine.Begin(agent.Name, watch, old?.State));
                _agents.Add(agent.Name, watched);
                watched.Watch(_watch, path => Post(() => Apply(watched, new ReloadEvent.Changed(Path.GetRelativePath(plan.ProjectFolder, path)))), (path, why) => Post(() => Polls(path, why)));
            }
        }

        foreach (var old in before.Values)
        {
            Begin(old.DisposeAsync().AsTask());
        }
    }

    /// <summary>One notice for each cause: when the user's watches run out, they do for every path.</summary>
    private void Polls(string path, string why)
    {
        if (_causes.Add(why))
        {
            LogPolling(_logger, path, why);
        }
    }

    private void Tick()
    {
        foreach (var agent in _agents.Values.Where(a => a.State.Alarm <= Now))
        {
            Apply(agent, new ReloadEvent.Tick());
        }
    }

    private void Apply(Watched agent, ReloadEvent happened)
    {
        if (!_agents.ContainsValue(agent))
        {
            return; // of a plan that is not in force any more
        }

        (agent.State, var actions) = ReloadMachine.Apply(agent.State, happened, Now);
        foreach (var action in actions)
        {
            switch (action)
            {
                case ReloadAction.Check:
                    Begin(CheckAsync(agent));
                    break;
                case ReloadAction.Reload reload:
                    LogReload(_logger, agent.Plan.Name, reload.Reason);
                    Begin(ReloadAsync(agent.Plan, reload.Reason));
                    break;
                case ReloadAction.Note note:
                    Note(agent.Plan, note.Text);
                    break;
                case ReloadAction.Suspended suspended:
                    LogSuspended(_logger, agent.Plan.Name, suspended.File, suspended.Times);
                    break;
            }
        }
    }

    private void Begin(Task work)
    {
        _work.RemoveAll(w => w.IsCompleted);
        _work.Add(work);
    }

    private async Task ReloadAsync(AgentPlan agent, string reason)
    {
        try
        {
            await _host.ReloadAsync(agent.Name, reason, agent.Watch!.Cascade, _end.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidOperationException or OperationCanceledException)
        {
            LogNotReloaded(_logger, agent.Name, e.Message); // everything is ending, or the owner of the agents has failed and says so itself
        }
    }

    private async Task CheckAsync(Watched agent)
    {
        var failure = await CheckAsync(agent.Plan).ConfigureAwait(false);
        if (failure is not null)
        {
            LogCheckFailed(_logger, agent.Plan.Name, failure);
        }

        Post(() =>
        {
            if (_agents.GetValueOrDefault(agent.Plan.Name) is { } now) // under the plan in force, whichever that is by now
            {
                Apply(now, new ReloadEvent.Checked(failure));
            }
        });
    }

    /// <summary>Runs the check of an agent to its end, or to the limit.</summary>
    /// <returns>Why it failed, with its last lines; null when it passed.</returns>
    private async Task<string?> CheckAsync(AgentPlan agent)
    {
        if (agent.Processes.IsEmpty)
        {
            return null; // nothing runs, so nothing can be broken
        }

        var of = agent.Processes[0];
        var command = agent.Watch!.Check;
        var check = new ProcessPlan
        {
            Name = agent.Name + ".check", // no agent can be called so
            Kind = ProcessKind.Job,
            Command = command,
            WorkingDirectory = of.WorkingDirectory,
            Environment = of.Environment,
            Restart = RestartPolicy.Never,
            Grace = TimeSpan.FromSeconds(1),
            LogPath = Path.ChangeExtension(of.LogPath, ".check.log"),
            Log = of.Log,
        };
        using var limit = new CancellationTokenSource(CheckWithin, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _end.Token);
        try
        {
            var (end, tail) = await _supervisor.RunToEndAsync(check, either.Token).ConfigureAwait(false);
            return end.State == ProcessState.Completed
                ? null
                : $"{string.Join(' ', command)}: {(end.LastExit is { Code: { } code } ? $"exit {code}" : end.Reason)}{string.Concat(tail.TakeLast(NoteLines).Select(l => "\n" + l))}";
        }
        catch (OperationCanceledException)
        {
            return _end.IsCancellationRequested
                ? "the project is being stopped"
                : string.Create(CultureInfo.InvariantCulture, $"{string.Join(' ', command)}: took longer than {CheckWithin.TotalSeconds:0} s");
        }
        catch (Exception e)
        {
            return $"{string.Join(' ', command)}: {e.Message}"; // cannot be run: the old process is the safe one
        }
    }

    private void Note(AgentPlan agent, string? text)
    {
        foreach (var process in agent.Processes)
        {
            _supervisor.Note(process.Name, text);
        }
    }

    /// <summary>One agent whose files are watched.</summary>
    private sealed class Watched(AgentPlan plan, ReloadState state) : IAsyncDisposable
    {
        private ImmutableArray<IAsyncDisposable> _watches = [];

        internal AgentPlan Plan { get; set; } = plan;

        internal ReloadState State { get; set; } = state;

        internal void Watch(PathWatch watch, Action<string> changed, Action<string, string> polls)
        {
            var filter = new WatchFilter(Plan.Watch!);
            _watches = [.. Plan.Watch!.Paths.Select(p => watch(p, filter, changed, polls))];
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var watch in _watches)
            {
                await watch.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    [LoggerMessage(EventId = 3110, Level = LogLevel.Warning, Message = "'{Path}', and others alike, is looked at once a second for changes, since the kernel does not tell of them: {Reason} (watches are limited by fs.inotify.max_user_watches)")]
    private static partial void LogPolling(ILogger logger, string path, string reason);

    [LoggerMessage(EventId = 3111, Level = LogLevel.Information, Message = "agent {Name}: {Reason}")]
    private static partial void LogReload(ILogger logger, string name, string reason);

    [LoggerMessage(EventId = 3112, Level = LogLevel.Warning, Message = "agent {Name} is not reloaded, the old process goes on: {Reason}")]
    private static partial void LogCheckFailed(ILogger logger, string name, string reason);

    [LoggerMessage(EventId = 3113, Level = LogLevel.Warning, Message = "agent {Name}: reload suspended, since '{File}' keeps changing ({Times} times in 30 s)")]
    private static partial void LogSuspended(ILogger logger, string name, string file, int times);

    [LoggerMessage(EventId = 3114, Level = LogLevel.Warning, Message = "agent {Name} could not be reloaded: {Reason}")]
    private static partial void LogNotReloaded(ILogger logger, string name, string reason);
}
