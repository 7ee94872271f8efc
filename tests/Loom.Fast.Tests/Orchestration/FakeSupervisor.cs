using System.Collections.Immutable;
using Loom.Processes;

namespace Loom.Fast.Tests.Orchestration;

/// <summary>A supervisor in memory: every start spawns at once, every stop stops at once, the rest is told by the test.</summary>
internal sealed class FakeSupervisor : ISupervisor
{
    private readonly Lock _gate = new();
    private readonly List<string> _calls = [];
    private ImmutableArray<ProcessSnapshot> _processes = [];
    private Action<ProcessSnapshot>? _listener;
    private Task _stops = Task.CompletedTask;

    /// <summary>Requests in order, as <c>start a</c>.</summary>
    internal ImmutableArray<string> Calls
    {
        get
        {
            lock (_gate)
            {
                return [.. _calls];
            }
        }
    }

    /// <summary>Thrown by each add.</summary>
    internal Exception? AddFault { get; set; }

    /// <summary>Thrown by each start.</summary>
    internal Exception? StartFault { get; set; }

    /// <summary>Thrown by each stop.</summary>
    internal Exception? StopFault { get; set; }

    /// <summary>No stop ends before the source is completed.</summary>
    internal TaskCompletionSource HoldStops()
    {
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _stops = source.Task;
        return source;
    }

    internal bool Hurried { get; private set; }

    public ImmutableArray<ProcessSnapshot> Processes => _processes;

    internal void Tell(string name, ProcessState state, ExitInfo? exit = null, string? reason = null) =>
        Change(name, p => p with { State = state, LastExit = exit ?? p.LastExit, Reason = reason });

    public Task AddAsync(ProcessPlan plan, bool start, CancellationToken cancellationToken)
    {
        Call("add", plan.Name);
        if (AddFault is { } fault)
        {
            return Task.FromException(fault);
        }

        if (_processes.Any(p => p.Name == plan.Name))
        {
            return Task.FromException(new ArgumentException($"there is already a process '{plan.Name}'"));
        }

        var snapshot = new ProcessSnapshot
        {
            Name = plan.Name,
            Kind = plan.Kind,
            State = ProcessState.Pending,
            Since = default,
            LogPath = plan.LogPath,
            Grace = TimeSpan.FromSeconds(1),
        };
        lock (_gate)
        {
            _processes = _processes.Add(snapshot);
        }

        _listener?.Invoke(snapshot);
        return start ? StartAsync(plan.Name, cancellationToken) : Task.CompletedTask;
    }

    public Task HoldAsync(string name, ProcessState shown, string reason, CancellationToken cancellationToken) =>
        Do("hold", name, p => p with { State = shown, Reason = reason });

    public Task StartAsync(string name, CancellationToken cancellationToken) =>
        StartFault is { } fault ? Task.FromException(fault) : Do("start", name, p => p with { State = ProcessState.Running, Spawns = p.Spawns + 1, Pid = 1, Reason = null });

    public async Task StopAsync(string name, CancellationToken cancellationToken)
    {
        await _stops;
        var done = Do("stop", name, p => p with { State = ProcessState.Stopped, Pid = null, Reason = "stopped by request" });
        await (StopFault is { } fault ? Task.FromException(fault) : done);
    }

    public Task RestartAsync(string name, CancellationToken cancellationToken, string? reason = null) =>
        Do("restart", name, p => p with { State = ProcessState.Running, Spawns = p.Spawns + 1 });

    public Task ReloadAsync(string name, string reason, CancellationToken cancellationToken) =>
        Do("reload", name, p => p with { State = ProcessState.Running, Spawns = p.Spawns + 1 });

    public Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        Call("remove", name);
        lock (_gate)
        {
            _processes = _processes.RemoveAll(p => p.Name == name);
        }

        return Task.CompletedTask;
    }

    public Task<ProcessSnapshot> WaitAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StopAllAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public void Hurry() => Hurried = true;

    public void Note(string name, string? note) => Call($"note {note}", name);

    public ProcessUsage? Usage(string name) => null;

    public ImmutableArray<string> Tail(string name, int lines) => [];

    public void ReopenLogs()
    {
    }

    public IDisposable Subscribe(Action<ProcessSnapshot> onChange)
    {
        _listener = onChange;
        return new Subscription(() => _listener = null);
    }

    public IDisposable FollowOutput(Action<LogLine> onLine) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task Do(string call, string name, Func<ProcessSnapshot, ProcessSnapshot> change)
    {
        Call(call, name);
        if (!_processes.Any(p => p.Name == name))
        {
            return Task.FromException(new ArgumentException($"there is no process '{name}'"));
        }

        Change(name, change);
        return Task.CompletedTask;
    }

    private void Change(string name, Func<ProcessSnapshot, ProcessSnapshot> change)
    {
        ProcessSnapshot changed;
        lock (_gate)
        {
            var old = _processes.Single(p => p.Name == name);
            _processes = _processes.Replace(old, changed = change(old));
        }

        _listener?.Invoke(changed);
    }

    private void Call(string call, string name)
    {
        lock (_gate)
        {
            _calls.Add($"{call} {name}");
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
