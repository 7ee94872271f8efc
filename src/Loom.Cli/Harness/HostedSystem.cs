using Loom.Agents.Project;
using Loom.Core.Loops;
using Loom.Harness.Api;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>One system of <c>[[harness.systems]]</c> from the reading of its files to its end. Whatever goes wrong with it is told and shown, and takes nothing else with it.</summary>
/// <param name="listed">What loom.toml says.</param>
/// <param name="owner">Who runs it.</param>
/// <param name="log">Where it speaks.</param>
internal sealed partial class HostedSystem(SystemListing listed, SystemsRuntime owner, ILogger log) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SystemRecord _record = new(
        NameOf(listed), listed.Folder, listed.Autostart ? "starting" : "stopped", listed.Autostart ? null : "autostart is off");

    private BackgroundLoop? _loop;
    private bool _drains;
    private bool _disposed;
    private volatile HarnessApi? _api;

    /// <summary>How it was called when its files were last read.</summary>
    public string Name { init => _record = _record with { Name = value }; }

    /// <summary>What loom.toml says.</summary>
    public SystemListing Listed { get; set; } = listed;

    /// <summary>How it stands.</summary>
    public SystemRecord Record
    {
        get
        {
            var record = _record;
            return record.State == "running" && _api?.Verdict() is { Reasons: { Count: > 0 } reasons } verdict
                ? record with { Note = $"{Loom.Harness.Telemetry.SystemMetrics.Word(verdict.State)}: {string.Join("; ", reasons)}" }
                : record;
        }
    }

    /// <summary>Its API while it runs.</summary>
    public HarnessApi? Api => _api;

    /// <summary>Whether it was started and has not come to its end.</summary>
    public bool IsUnderWay => _loop is { Completion.IsCompleted: false };

    /// <summary>How it is called until its files have been read.</summary>
    public static string NameOf(SystemListing listed) => Path.GetFileName(listed.Folder.TrimEnd('/'));

    /// <summary>Starts it, once; one that was asked to drain before does not start.</summary>
    /// <param name="kill">Ends all patience.</param>
    /// <returns>Completes when it runs or has failed.</returns>
    public Task StartAsync(CancellationToken kill)
    {
        lock (_gate)
        {
            if (_drains || _disposed)
            {
                _settled.TrySetResult();
                return _settled.Task;
            }

            _record = _record with { State = "starting", Note = null };
            _loop = BackgroundLoop.Start($"system {_record.Name}", _ => RunAsync(kill), log);
        }

        owner.Changed();
        return _settled.Task;
    }

    /// <summary>Asks it to drain. One that has come to its end, or is disposed already, stays as it is.</summary>
    public void Drain()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _drains = true;
            if (_record.State is "starting" or "running")
            {
                _record = _record with { State = _loop is null ? "stopped" : "draining", Note = null };
            }
        }

        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // Its owner has put another one in its place this moment; it is at its end.
        }

        owner.Changed();
    }

    /// <summary>Drains it and waits for its end.</summary>
    public async Task DrainAsync()
    {
        Drain();
        if (_loop is { } loop)
        {
            await loop.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_loop is not null)
        {
            await _loop.DisposeAsync().ConfigureAwait(false);
        }

        lock (_gate)
        {
            _disposed = true;
        }

        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken kill)
    {
        try
        {
            using var services = owner.Services();
            var request = new HarnessRequest { Directory = Listed.Folder, Deployment = Listed.Deployment is { } file ? Path.GetRelativePath(Listed.Folder, file) : null };
            using var load = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, kill);
            await using var harness = await SystemExecutionHarness.LoadAsync(request, owner.World(services), load.Token).ConfigureAwait(false);
            await RunAsync(harness, kill).ConfigureAwait(false);
        }
        catch (SystemFilesException e)
        {
            Fail($"{e.Findings.FirstOrDefault(f => f.Severity == Severity.Error)?.ToString() ?? e.Message}; {(e.IsLock ? "loom harness lock" : "loom harness check shows all")}");
        }
        catch (StateRequiredException e)
        {
            Fail(e.Message);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested || kill.IsCancellationRequested)
        {
            Become("stopped", null);
        }
        catch (Exception e)
        {
            LogBroken(log, _record.Name, e);
            Fail(e.Message);
        }
        finally
        {
            _settled.TrySetResult();
        }
    }

    private async Task RunAsync(SystemExecutionHarness harness, CancellationToken kill)
    {
        var plan = harness.Assembly.Plan;
        lock (_gate)
        {
            _record = _record with { Name = plan.Name };
        }

        await using var api = new HarnessApi(harness, Drain, log) { Address = owner.Address };
        if (!owner.Add(plan.Name, api))
        {
            Fail($"another system of the project is named \"{plan.Name}\"");
            return;
        }

        string? file = null;
        try
        {
            file = new RunningSystem(owner.Address, owner.Token, Environment.ProcessId).Write(Listed.Folder, plan.Name);
            using var shown = owner.Metrics.Show(harness.Assembly);
            foreach (var notice in harness.Notices)
            {
                LogNotice(log, plan.Name, notice);
            }

            harness.Assembly.Run.Started = () =>
            {
                api.IsRunning = true;
                _api = api;
                Become("running", null);
                _settled.TrySetResult();
            };
            var result = await harness.RunAsync(new RunTokens(_stop.Token, kill)).ConfigureAwait(false);
            foreach (var error in result.Errors)
            {
                LogError(log, plan.Name, harness.Clean(error.Message));
            }

            await owner.SendMetricsAsync().ConfigureAwait(false); // after the end nobody can ask its instruments
            if (result.ExitCode == RunResult.Ended)
            {
                LogEnded(log, plan.Name, result.Reason);
                Become(_stop.IsCancellationRequested ? "stopped" : "ended", result.Reason);
            }
            else
            {
                Fail(result.Reason);
            }
        }
        finally
        {
            api.IsRunning = false;
            _api = null;
            owner.Remove(plan.Name);
            if (file is not null)
            {
                File.Delete(file);
            }
        }
    }

    private void Become(string state, string? note)
    {
        lock (_gate)
        {
            // Asked to drain while it was set up, it begins by draining.
            _record = _record with { State = state == "running" && _drains ? "draining" : state, Note = note };
        }

        owner.Changed();
    }

    private void Fail(string why)
    {
        LogFailed(log, _record.Name, why);
        Become("failed", why);
    }

    [LoggerMessage(EventId = 4500, Level = LogLevel.Error, Message = "system {System} failed: {Why}")]
    private static partial void LogFailed(ILogger logger, string system, string why);

    [LoggerMessage(EventId = 4501, Level = LogLevel.Information, Message = "system {System} {Reason}")]
    private static partial void LogEnded(ILogger logger, string system, string reason);

    [LoggerMessage(EventId = 4502, Level = LogLevel.Error, Message = "system {System}: {Error}")]
    private static partial void LogError(ILogger logger, string system, string error);

    [LoggerMessage(EventId = 4503, Level = LogLevel.Information, Message = "system {System}: {Notice}")]
    private static partial void LogNotice(ILogger logger, string system, string notice);

    [LoggerMessage(EventId = 4504, Level = LogLevel.Error, Message = "system {System} ended by an error nobody foresaw")]
    private static partial void LogBroken(ILogger logger, string system, Exception error);
}
