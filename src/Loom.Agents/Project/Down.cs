using System.Collections.Immutable;
using Loom.Core.Storage;
using Loom.Processes;
using Loom.Processes.Guarding;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Project;

/// <summary>What <c>down</c> did.</summary>
/// <param name="WasRunning">False when there was nothing to do.</param>
/// <param name="Survivors">What could not be ended, by pid and command; not empty = failure.</param>
public sealed record DownResult(bool WasRunning, ImmutableArray<string> Survivors);

/// <summary>The project's lock is held, and neither the socket nor the state file leads to its holder.</summary>
public sealed class ProjectBusyException(string message) : Exception(message);

/// <summary>
/// Stops everything of a project, however it was left: asks the runtime, ends a runtime that does not answer, ends what a dead one left behind, verifies,
/// removes the run's files. Needs no valid <c>loom.toml</c>. Twice, at once, after a reboot or with nothing running: success.
/// </summary>
public sealed partial class Down(RunDirectory directory, TimeProvider time, ILogger logger)
{
    /// <summary>How long a runtime may take to answer at all.</summary>
    public static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_guardianPatience = TimeSpan.FromSeconds(40);

    /// <summary>Does it.</summary>
    /// <param name="timeout">How long a runtime that answers may take to stop, its <c>shutdown_timeout</c>.</param>
    /// <param name="force">True: no grace.</param>
    /// <param name="cancellationToken">Ends the waiting; what was asked goes on.</param>
    /// <exception cref="ProjectBusyException">Somebody holds the lock, does not answer and cannot be identified.</exception>
    public async Task<DownResult> RunAsync(TimeSpan timeout, bool force, CancellationToken cancellationToken)
    {
        if (!directory.Exists)
        {
            return new DownResult(false, []);
        }

        PrivateFolder.Check(directory.Path);
        var wasRunning = File.Exists(directory.State);
        using var held = FileLock.TryAcquire(directory.Lock) ?? await StopRuntimeAsync(timeout, force, cancellationToken).ConfigureAwait(false);
        return new DownResult(wasRunning, await CleanAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Ends what a dead run left behind and removes its files. The caller holds the project's lock. Also the first step of every <c>up</c>.
    /// </summary>
    /// <returns>Survivors; with any, the state file stays for the next attempt.</returns>
    internal async Task<ImmutableArray<string>> CleanAsync(CancellationToken cancellationToken)
    {
        var state = ReadState();
        await WaitForGuardianAsync(state, cancellationToken).ConfigureAwait(false);
        TellGuardianReport();
        if (state is not null)
        {
            // After a reboot the pids mean strangers. The run id is looked for all the same: it is nobody else's.
            var sameBoot = state.BootId == RunState.CurrentBoot();
            var children = sameBoot
                ? state.Processes
                    .Where(p => p is { Pid: > 1, StartTicks: not null })
                    .Select(p => new Leftover(new ProcessIdentity(p.Pid!.Value, p.StartTicks!.Value), TimeSpan.FromMilliseconds(p.GraceMs)))
                : [];
            var strays = sameBoot ? state.Strays.Select(s => s.Identity) : [];
            var groups = sameBoot ? state.Processes.Select(p => Path.GetDirectoryName(p.Cgroup)).FirstOrDefault(f => f is not null) : null;
            var survivors = await Leftovers.EndAsync(state.RunId, [.. children], strays, groups, fresh: false, time, cancellationToken).ConfigureAwait(false);
            if (!survivors.IsEmpty)
            {
                return survivors;
            }
        }

        directory.RemoveRunFiles();
        return [];
    }

    private void TellGuardianReport()
    {
        try
        {
            if (directory.KeepGuardianReport() is { } report)
            {
                LogReport(logger, report, directory.KeptReport);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNoReport(logger, directory.GuardianReport, e.Message); // a note is not worth a failed stop
        }
    }

    private RunState? ReadState()
    {
        try
        {
            return RunState.Read(directory.State);
        }
        catch (InvalidDataException e)
        {
            LogDamaged(logger, e.Message);
            return null;
        }
    }

    private async Task WaitForGuardianAsync(RunState? state, CancellationToken cancellationToken)
    {
        using var free = await FileLock.AcquireAsync(directory.GuardianLock, time, s_guardianPatience, cancellationToken).ConfigureAwait(false);
        if (free is null && state?.Guardian is { } guardian && state.BootId == RunState.CurrentBoot())
        {
            LogStuckGuardian(logger, guardian.Pid);
            _ = Leftovers.Signal(guardian.Identity, Kill);
        }
    }

    /// <summary>Ends the runtime that holds the lock.</summary>
    /// <returns>The lock.</returns>
    private async Task<FileLock> StopRuntimeAsync(TimeSpan timeout, bool force, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var asked = false;
        TimeSpan? killedAt = null;
        while (true)
        {
            if (FileLock.TryAcquire(directory.Lock) is { } taken)
            {
                return taken;
            }

            asked = asked || (killedAt is null && await AskAsync(force, cancellationToken).ConfigureAwait(false));
            var waited = time.GetElapsedTime(start);
            if (killedAt is null && waited > (asked ? timeout + AnswerWithin : AnswerWithin))
            {
                // Without a living supervisor in the state file, the holder may be another 'down' at its work: it gets its time, too.
                var killed = KillRuntime();
                killedAt = killed ? waited : waited + timeout;
            }
            else if (waited > killedAt + AnswerWithin)
            {
                throw new ProjectBusyException(
                    $"the lock '{directory.Lock}' is held, but its holder does not answer and the state file does not name a living process; find it with 'fuser {directory.Lock}' and end it");
            }

            await Task.Delay(s_lookEvery, time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<bool> AskAsync(bool force, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(AnswerWithin, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await new ControlClient(directory.Socket).AskAsync(new ControlRequest("down") { Force = force }, both.Token).ConfigureAwait(false) is { Ok: true };
        }
        catch (IOException)
        {
            return false; // it is going already
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Kills the supervisor the state file names, if it is that very process; its guardian then ends the rest.</summary>
    private bool KillRuntime()
    {
        if (ReadState() is not { } state || state.BootId != RunState.CurrentBoot() || !Leftovers.IsAlive(state.Supervisor.Identity))
        {
            return false;
        }

        LogKill(logger, state.Supervisor.Pid);
        return Leftovers.Signal(state.Supervisor.Identity, Kill);
    }

    private const int Kill = 9;

    [LoggerMessage(EventId = 3023, Level = LogLevel.Warning, Message = "an earlier run was cleaned up by its guardian: {Report} (kept in {Path})")]
    private static partial void LogReport(ILogger logger, string report, string path);

    [LoggerMessage(EventId = 3024, Level = LogLevel.Warning, Message = "cannot keep the guardian's report '{Path}': {Reason}")]
    private static partial void LogNoReport(ILogger logger, string path, string reason);

    [LoggerMessage(EventId = 3020, Level = LogLevel.Warning, Message = "the state file is unreadable and will be removed: {Reason}")]
    private static partial void LogDamaged(ILogger logger, string reason);

    [LoggerMessage(EventId = 3021, Level = LogLevel.Warning, Message = "the guardian (pid {Pid}) does not come to an end; it is killed and its work is done here")]
    private static partial void LogStuckGuardian(ILogger logger, int pid);

    [LoggerMessage(EventId = 3022, Level = LogLevel.Warning, Message = "the runtime (pid {Pid}) does not answer or does not stop; it is killed")]
    private static partial void LogKill(ILogger logger, int pid);
}
