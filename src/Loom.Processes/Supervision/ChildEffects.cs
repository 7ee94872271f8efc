using System.Collections.Immutable;
using Loom.Processes.Cgroups;
using Loom.Processes.Guarding;
using Loom.Processes.Logs;
using Loom.Processes.Native;
using Loom.Processes.Probes;
using Loom.Processes.Spawning;
using Loom.Processes.Table;
using Loom.Processes.Watching;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Supervision;

/// <summary>Does to the world what the machine decides. Called by the owner loop only; what takes time reports back through <c>report</c>.</summary>
internal sealed partial class ChildEffects : IAsyncDisposable
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_blindPause = TimeSpan.FromMilliseconds(100);

    private readonly SupervisorOptions _options;
    private readonly SteadyClock _clock;
    private readonly Action<SupervisedChild, ChildEvent> _report;
    private readonly Action<ImmutableArray<ProcessIdentity>> _onStrays;
    private readonly DescriptorLoop _descriptors;
    private readonly ProbeRunner _probes;
    private readonly ChildChecks _checks;
    private readonly ChildGroups _groups;
    private readonly GuardianLink _guardian;
    private readonly long _oldest;
    private readonly Census _census;
    private readonly CancellationTokenSource _end = new();
    private readonly HashSet<ProcessIdentity> _adopted = [];
    private readonly List<Incarnation> _stuck = [];
    private List<(SupervisedChild Child, int Incarnation, int Signal)> _counts = [];
    private DateTimeOffset _countAgainAt;
    private DateTimeOffset _nextLook;
    private bool _restless;

    internal ChildEffects(
        SupervisorOptions options,
        SteadyClock clock,
        Action<Action> post,
        Action<SupervisedChild, ChildEvent> report,
        Action<ImmutableArray<ProcessIdentity>> onStrays)
    {
        _groups = new ChildGroups(options);
        _onStrays = onStrays;
        _options = options;
        _clock = clock;
        _report = report;
        _descriptors = new DescriptorLoop(options.Logger);
        _probes = new ProbeRunner(_descriptors, options.Time);
        _checks = new ChildChecks(_probes, report, options.Logger, _end.Token);
        _guardian = new GuardianLink(options, _groups.Folder, clock, _descriptors, post);
        _oldest = ProcessTable.ReadEntry(Environment.ProcessId)?.StartTicks ?? 0;
        _census = new Census(options.RunId, _oldest);
        _nextLook = clock.Now + s_lookEvery;
        if (options.AdoptStrays)
        {
            // Orphans of our children come to us instead of to init, so none is out of sight.
            _ = Libc.ProcessControl(Linux.PrSetChildSubreaper, 1, 0, 0, 0);
        }
    }

    internal ProcessIdentity? GuardianIdentity => _guardian.Identity;

    /// <summary>Carries out one action.</summary>
    /// <returns>News that is known at once, or null.</returns>
    internal ChildEvent? Perform(SupervisedChild child, ChildAction action)
    {
        switch (action)
        {
            case ChildAction.CheckPort check:
                _checks.CheckPort(child, check.Incarnation);
                return null;
            case ChildAction.Spawn spawn:
                return Spawn(child, spawn.Incarnation);
            case ChildAction.Probe { Plan.Check: not ProbeCheck.Log } probe:
                _checks.Probe(child, probe.Incarnation, probe.Plan);
                return null;
            case ChildAction.Ask ask:
                _checks.Ask(child, ask.Incarnation);
                return null;
            case ChildAction.CancelProbe:
                child.Log.Watch(null);
                child.CancelProbe();
                return null;
            case ChildAction.Signal signal:
                if (child.Live is { } live)
                {
                    Signals.SendToGroup(live.Identity.Pid, signal.Number);
                    if (signal.Number == Linux.SigKill)
                    {
                        child.Group?.Kill();
                    }
                }

                _counts.Add((child, signal.Incarnation, signal.Number));
                return null;
            case ChildAction.Count count:
                _counts.Add((child, count.Incarnation, 0));
                return null;
            case ChildAction.Reap:
                Reap(child);
                return null;
            default:
                return null; // a log probe: the line will come by itself
        }
    }

    /// <summary>Takes the counts asked for since the last call, with one look at the system for all of them.</summary>
    internal bool TakeCounts(out ImmutableArray<(SupervisedChild Child, int Incarnation, ImmutableArray<Survivor> Members)> counted)
    {
        counted = [];
        if (_counts.Count == 0)
        {
            return false;
        }

        if (_clock.Now < _countAgainAt)
        {
            return false;
        }

        if (!TryTake())
        {
            // Out of descriptors, most likely: nobody is taken for gone because we could not look.
            _countAgainAt = _clock.Now + s_blindPause;
            return false;
        }

        var asked = _counts;
        _counts = [];
        counted = [.. asked.Select(a => (a.Child, a.Incarnation, Count(a.Child, a.Signal)))];
        return true;
    }

    /// <summary>When <see cref="LookForStrays"/> is due; null once a look has found nothing alive and nothing to reap.</summary>
    internal DateTimeOffset? NextLook =>
        _counts.Count > 0 ? _countAgainAt : _restless || _guardian.RetryAt is not null ? _nextLook : null;

    /// <summary>When the guardian is to be told what it had no room for; null = it knows everything.</summary>
    internal DateTimeOffset? NextTelling => _guardian.FlushAt;

    /// <summary>Tells the guardian what it had no room for.</summary>
    internal void TellGuardian() => _guardian.Flush();

    /// <summary>Once a second: remembers what left its session, ends what outlived its child, reaps adopted zombies, sees to the guardian.</summary>
    internal void LookForStrays(List<SupervisedChild> children)
    {
        if (_clock.Now >= _guardian.RetryAt)
        {
            _guardian.Ensure();
        }

        if (_clock.Now < _nextLook || NextLook is null)
        {
            return;
        }

        _nextLook = _clock.Now + s_lookEvery;
        if (!TryTake())
        {
            return;
        }

        foreach (var child in children)
        {
            if (child.Live is { } live)
            {
                _census.Trace(live.Identity, child.Strays);
                WatchMemory(child, live);
                continue;
            }

            if (child.LooksLeft == 0)
            {
                continue;
            }

            // What slipped through the last count by forking at the wrong moment shows within a few looks.
            child.LooksLeft--;
            child.Strays.RemoveWhere(s => !_census.Table.IsAlive(s));
            foreach (var stray in _census.Marked(child.Name).Select(e => e.Identity).Concat(child.Strays).Distinct())
            {
                _ = Signals.Send(stray, Linux.SigKill);
            }
        }

        ReapStuck();
        var reaped = _options.AdoptStrays && Adopt(children);
        _restless = reaped || _adopted.Count > 0 || _stuck.Count > 0 || children.Exists(c => c.Live is not null || c.LooksLeft > 0);
        if (_guardian.SetStrays([.. children.SelectMany(c => c.Strays), .. _adopted]))
        {
            _onStrays([.. children.SelectMany(c => c.Strays).Concat(_adopted).Distinct()]);
        }
    }

    /// <summary>Ends what no child accounts for; the last step of stopping everything.</summary>
    /// <returns>What could not be ended.</returns>
    internal Task<ImmutableArray<string>> SweepAsync() =>
        new Sweep(new Census(_options.RunId, _oldest), _options.AdoptStrays, _clock, _options.Time).RunAsync([.. _adopted], _end.Token);

    /// <summary>Leaves everything that runs to the guardian, which begins its work now. Only once the owner loop has ended.</summary>
    internal void LeaveToGuardian() => _guardian.Abandon();

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _guardian.DismissAsync().ConfigureAwait(false);
        _probes.Dispose();
        _descriptors.Dispose();
        _groups.Remove();
        _end.Dispose();
    }

    private ChildEvent Spawn(SupervisedChild child, int incarnation)
    {
        var plan = child.State.Plan;
        _checks.WatchForLine(child, incarnation);
        _guardian.Ensure();
        SpawnedChild spawned;
        var enters = Shim.Keeps(child.Environment.Keys);
        try
        {
            child.Group = _groups.Prepare(plan);
            spawned = Spawner.Spawn(new SpawnRequest
            {
                Command = plan.Command,
                WorkingDirectory = plan.WorkingDirectory,
                Environment = child.Environment,
                OurTerminal = plan.Console == ProcessConsole.Terminal,
                PipeInput = plan.Pipes is not null,
                Cgroup = enters ? child.Group?.Folder : null,
                OpenFiles = plan.Limits?.OpenFiles,
                Nice = plan.Limits?.Nice,
            });
        }
        catch (SpawnException e)
        {
            return new ChildEvent.SpawnRefused(incarnation, e.Message, e.Permanent);
        }

        _restless = true;
        _guardian.Register(spawned.Identity, child.State.Grace, plan.Name);
        if (!enters && child.Group?.Enter(spawned.Pid) is { } refused)
        {
            LogNoGroup(_options.Logger, plan.Name, refused);
        }

        var (group, kills) = (child.Group, child.Group?.MemoryKills() ?? 0);
        var loan = plan.Console == ProcessConsole.Terminal ? TerminalLoan.To(spawned.Pid) : null;
        try
        {
            child.Live = new Incarnation(incarnation, spawned, child.Log, plan.Pipes, _descriptors, _options.Time,
                (code, signal) =>
                {
                    loan?.Return(restore: signal is not null);
                    _report(child, new ChildEvent.Exited(incarnation, code, signal, group?.MemoryKills() > kills));
                });
        }
        catch (IOException e)
        {
            // Started but not watchable: an unwatched child is worse than none.
            Signals.SendToGroup(spawned.Pid, Linux.SigKill);
            Children.ReapBlocking(spawned.Pid);
            loan?.Return(restore: true);
            _guardian.Forget(spawned.Identity);
            spawned.Dispose();
            return new ChildEvent.SpawnRefused(incarnation, e.Message, Permanent: false);
        }

        return new ChildEvent.Spawned(incarnation, spawned.Identity, child.Group?.Folder);
    }

    private bool TryTake()
    {
        try
        {
            _census.Take();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogBlind(_options.Logger, e.Message);
            return false;
        }
    }

    private void Reap(SupervisedChild child)
    {
        if (child.Live is { } live)
        {
            _stuck.Add(live);
            ReapStuck();
            child.Live = null;
            child.LooksLeft = 3;
        }
    }

    /// <summary>Reaps leaders that have ended. One that was given up and still lives keeps its number and its place with the guardian until then.</summary>
    private void ReapStuck() => _stuck.RemoveAll(s =>
    {
        if (!s.Ended)
        {
            return false;
        }

        Children.Reap(s.Identity.Pid);
        _guardian.Forget(s.Identity);
        return true;
    });

    /// <summary>Counts what is left of a child; with a signal, sends it to what the group signal cannot reach.</summary>
    private ImmutableArray<Survivor> Count(SupervisedChild child, int signal)
    {
        if (child.Live is not { } live)
        {
            return [];
        }

        var members = _census.Members(live.Identity, child.Name, child.Strays, child.Group?.Members() ?? []);
        if (signal != 0)
        {
            foreach (var outside in members.Where(m => m.Group != live.Identity.Pid))
            {
                _ = Signals.Send(outside.Identity, signal);
                _ = Signals.Send(outside.Identity, Linux.SigContinue);
            }
        }

        return [.. members.Select(m => new Survivor(m.Identity, Shown(ProcFile.CommandOf(m.Pid), child.State.Plan.Log.Secrets)))];
    }

    /// <summary>A command line as it may be shown. Masked before it is cut, or half a secret would stay.</summary>
    private static string Shown(string command, IReadOnlyDictionary<string, string> secrets)
    {
        const int Longest = 512;
        var masked = Redactor.Mask(command, secrets);
        return masked.Length > Longest ? masked[..Longest] : masked;
    }

    /// <summary>Takes note of orphans the kernel gave us; true when one was a zombie and has been reaped.</summary>
    private bool Adopt(List<SupervisedChild> children)
    {
        var reaped = false;
        var known = children.SelectMany(c => c.Strays).ToHashSet();
        var leaders = children.Where(c => c.Live is not null).Select(c => c.Live!.Identity.Pid).ToHashSet();
        _adopted.RemoveWhere(a => !_census.Table.IsAlive(a));
        foreach (var entry in _census.Adopted())
        {
            if (!entry.Alive)
            {
                Children.ReapAdopted(entry.Pid);
                reaped = true;
            }
            else if (!known.Contains(entry.Identity) && !leaders.Contains(entry.Session) && !leaders.Contains(entry.Group))
            {
                _adopted.Add(entry.Identity);
            }
        }

        return reaped;
    }

    private void WatchMemory(SupervisedChild child, Incarnation live)
    {
        if (_groups.WatchedMemory(child.State.Plan) is { } limit && _census.Usage(live.Identity, child.Strays).ResidentBytes is var used && used > limit)
        {
            _report(child, new ChildEvent.OverMemory(live.Number, used));
        }
    }

    [LoggerMessage(EventId = 2031, Level = LogLevel.Warning, Message = "cannot read /proc now ({Reason}); tried again shortly")]
    private static partial void LogBlind(ILogger logger, string reason);

    [LoggerMessage(EventId = 2033, Level = LogLevel.Warning, Message = "{Name} is not in its cgroup: {Refused}")]
    private static partial void LogNoGroup(ILogger logger, string name, string refused);
}
