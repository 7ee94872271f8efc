using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using Loom.Processes.Native;
using Loom.Processes.Probes;
using Loom.Processes.Spawning;
using Loom.Processes.Supervision;
using Loom.Processes.Watching;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Guarding;

/// <summary>
/// The supervisor's side of its guardian: starts it before the first child, tells it everything, replaces it when it dies or no longer listens.
/// Called by the owner loop only.
/// </summary>
internal sealed partial class GuardianLink(SupervisorOptions options, string? groups, SteadyClock clock, DescriptorLoop descriptors, Action<Action> post)
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<ProcessIdentity, GuardianMessage.Child> _children = [];
    private readonly HashSet<ProcessIdentity> _strays = [];
    private SpawnedChild? _guardian;
    private Backlog _untold = new(_ => 0);
    private DateTimeOffset? _retryAt;
    private DateTimeOffset _startedAt;
    private int _quickDeaths;

    /// <summary>The guardian that listens now.</summary>
    internal ProcessIdentity? Identity => _guardian?.Identity;

    /// <summary>When a replacement is due; null = none is wanted.</summary>
    internal DateTimeOffset? RetryAt => _retryAt;

    /// <summary>When <see cref="Flush"/> is due; null = it has been told everything.</summary>
    internal DateTimeOffset? FlushAt => _guardian is null ? null : _untold.DueAt;

    /// <summary>Sees to it that there is one; nothing happens without a command line.</summary>
    internal void Ensure()
    {
        if (_guardian is not null || options.GuardianCommand.IsDefaultOrEmpty || clock.Now < _retryAt)
        {
            return;
        }

        _retryAt = null;
        var known = Known();
        try
        {
            var guardian = Spawner.Spawn(new SpawnRequest
            {
                Command = [.. options.GuardianCommand, "--run", options.RunId, .. groups is null ? [] : (ReadOnlySpan<string>)["--cgroup", groups]],
                WorkingDirectory = "/",
                Environment = OwnEnvironment(),
                PipeInput = true,
                FirstInput = known,
                PipeOutput = false,
            });
            Started(guardian, known.AsSpan(guardian.InputTaken));
        }
        catch (Exception e) when (e is SpawnException or IOException)
        {
            LogNoGuardian(options.Logger, e.Message);
            _retryAt = clock.Now + s_retry;
        }
    }

    internal void Register(ProcessIdentity identity, TimeSpan grace, string name)
    {
        var message = new GuardianMessage.Child(identity, grace, name);
        _children[identity] = message;
        Tell([message]);
    }

    internal void Forget(ProcessIdentity identity)
    {
        if (_children.Remove(identity))
        {
            Tell([new GuardianMessage.Gone(identity)]);
        }
    }

    /// <summary>Tells what is new and what is gone among the processes outside their sessions.</summary>
    /// <returns>True when anything is.</returns>
    internal bool SetStrays(HashSet<ProcessIdentity> strays)
    {
        var news = new List<GuardianMessage>();
        news.AddRange(strays.Except(_strays).Select(s => new GuardianMessage.Stray(s)));
        news.AddRange(_strays.Except(strays).Select(s => new GuardianMessage.Gone(s)));
        if (news.Count > 0)
        {
            _strays.Clear();
            _strays.UnionWith(strays);
            Tell(news);
        }

        return news.Count > 0;
    }

    /// <summary>Tells it what it had no room for.</summary>
    internal void Flush()
    {
        if (_guardian is { } guardian && !_untold.Flush(clock.Now))
        {
            // Broken pipe, or it has read nothing for long: it does not listen. Its successor is told everything.
            _ = Libc.Kill(guardian.Pid, Linux.SigKill);
        }
    }

    /// <summary>A clean end: the guardian goes without doing anything. Waits for it, at most two seconds.</summary>
    internal async Task DismissAsync()
    {
        if (_guardian is not { } guardian)
        {
            return;
        }

        _guardian = null;
        var deadline = options.Time.GetTimestamp();
        _untold.Add(Encoding.UTF8.GetBytes(new GuardianMessage.Bye() + "\n"), clock.Now);
        while (_untold.Flush(clock.Now) && !_untold.IsEmpty && options.Time.GetElapsedTime(deadline) < TimeSpan.FromSeconds(2))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), options.Time).ConfigureAwait(false);
        }

        guardian.Input!.Dispose();
        while (Leftovers.IsAlive(guardian.Identity))
        {
            if (options.Time.GetElapsedTime(deadline) > TimeSpan.FromSeconds(2))
            {
                _ = Libc.Kill(guardian.Pid, Linux.SigKill);
                Children.ReapBlocking(guardian.Pid);
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(5), options.Time).ConfigureAwait(false);
        }

        Children.Reap(guardian.Pid);
    }

    /// <summary>An end without farewell: the guardian begins its work now. After the owner loop, so nobody else touches this.</summary>
    internal void Abandon()
    {
        if (_guardian is not null)
        {
            _ = _untold.Flush(clock.Now);
            _guardian.Input!.Dispose();
            _guardian = null;
        }
    }

    /// <summary>
    /// All a new guardian is told. As much as its pipe takes stands there before it exists: were we killed between its start and our first words, it would end
    /// what it finds by the environment alone.
    /// </summary>
    private byte[] Known() =>
        Encoding.UTF8.GetBytes(string.Concat(_children.Values.Cast<GuardianMessage>().Concat(_strays.Select(s => new GuardianMessage.Stray(s))).Select(m => m + "\n")));

    private void Started(SpawnedChild guardian, ReadOnlySpan<byte> later)
    {
        var exit = new ExitSignal();
        try
        {
            descriptors.Add(guardian.Exit, exit);
        }
        catch (IOException)
        {
            Signals.SendToGroup(guardian.Pid, Linux.SigKill);
            Children.ReapBlocking(guardian.Pid);
            guardian.Dispose();
            throw;
        }

        _guardian = guardian;
        _startedAt = clock.Now;
        _untold = new Backlog(bytes => Write(guardian, bytes));
        _ = exit.Ended.ContinueWith(t => post(() => Lost(guardian)), CancellationToken.None, TaskContinuationOptions.NotOnCanceled, TaskScheduler.Default);
        LogStarted(options.Logger, guardian.Pid);
        Tell(later);
    }

    private void Lost(SpawnedChild guardian)
    {
        if (!ReferenceEquals(_guardian, guardian))
        {
            return; // dismissed
        }

        _guardian = null;
        guardian.Input!.Dispose();
        Children.Reap(guardian.Pid);
        LogLost(options.Logger, guardian.Pid);

        // At once if it had lived a while; one that cannot live (a wrong command line) is tried ever more rarely, and said.
        _quickDeaths = clock.Now - _startedAt > s_retry ? 0 : _quickDeaths + 1;
        _retryAt = _quickDeaths == 0 ? null : clock.Now + (s_retry * Math.Min(1 << Math.Min(_quickDeaths - 1, 6), 60));
        if (_quickDeaths == 3)
        {
            LogNoGuardian(options.Logger, $"'{string.Join(' ', options.GuardianCommand)}' ends at once");
        }

        Ensure();
    }

    private void Tell(IReadOnlyCollection<GuardianMessage> messages) => Tell((ReadOnlySpan<byte>)Encoding.UTF8.GetBytes(string.Concat(messages.Select(m => m + "\n"))));

    private void Tell(ReadOnlySpan<byte> words)
    {
        if (_guardian is not null)
        {
            _untold.Add(words, clock.Now);
            Flush();
        }
    }

    private static unsafe int Write(SpawnedChild guardian, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
        {
            var count = (int)Libc.Write((int)guardian.Input!.DangerousGetHandle(), p, (nuint)bytes.Length);
            return count >= 0 ? count : Marshal.GetLastPInvokeError() is Linux.Again or Linux.Interrupted ? 0 : -1;
        }
    }

    /// <summary>Only what the runtime needs to start, and settings that keep it small; above all none of our secrets and no run id.</summary>
    private static ImmutableDictionary<string, string> OwnEnvironment()
    {
        var environment = ImmutableDictionary.CreateBuilder<string, string>();
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            var name = (string)variable.Key;
            if (name is "PATH" or "HOME" or "LANG" or "TMPDIR" || name.StartsWith("DOTNET_ROOT", StringComparison.Ordinal))
            {
                environment[name] = (string?)variable.Value ?? string.Empty;
            }
        }

        environment["DOTNET_EnableDiagnostics"] = "0";
        environment["DOTNET_GCHeapHardLimit"] = "0x2000000";
        environment["DOTNET_gcConcurrent"] = "0";
        environment["DOTNET_TieredPGO"] = "0";
        return environment.ToImmutable();
    }

    [LoggerMessage(EventId = 2040, Level = LogLevel.Debug, Message = "guardian started, pid {Pid}")]
    private static partial void LogStarted(ILogger logger, int pid);

    [LoggerMessage(EventId = 2041, Level = LogLevel.Warning, Message = "guardian (pid {Pid}) died; a new one is started")]
    private static partial void LogLost(ILogger logger, int pid);

    [LoggerMessage(EventId = 2042, Level = LogLevel.Error, Message = "no guardian: {Reason}. Until one runs, a kill -9 of loom would leave its children behind")]
    private static partial void LogNoGuardian(ILogger logger, string reason);
}
