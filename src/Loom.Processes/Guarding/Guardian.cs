using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Loom.Core.Storage;
using Loom.Processes.Native;

namespace Loom.Processes.Guarding;

/// <summary>
/// The guardian process: learns over its stdin what its supervisor started, and when that pipe ends without a farewell, ends all of it. It uses nothing but
/// the base library, so that it stays small.
/// </summary>
public static class Guardian
{
    /// <summary>The command line that runs a guardian for a project; the supervisor adds the run id.</summary>
    /// <param name="executable">Absolute path of <c>loom</c>.</param>
    /// <param name="runDirectory">Absolute path of <c>.loom/run</c>.</param>
    public static ImmutableArray<string> CommandLine(string executable, string runDirectory) =>
        [executable, "internal", "guardian", "--lock", LockPath(runDirectory), "--report", ReportPath(runDirectory)];

    /// <summary>The file a guardian holds locked while it lives; the next start waits for it.</summary>
    public static string LockPath(string runDirectory) => Path.Combine(runDirectory, "guardian.lock");

    /// <summary>What a guardian that had to act writes down.</summary>
    public static string ReportPath(string runDirectory) => Path.Combine(runDirectory, "guardian.report");

    /// <summary>The life of a guardian process.</summary>
    /// <param name="arguments"><c>--run ID</c>, <c>--lock PATH</c>, <c>--report PATH</c>, <c>--cgroup FOLDER</c> of the run's groups.</param>
    /// <param name="time">Clock.</param>
    /// <returns>Exit code: 0 nothing is left, 1 survivors, 2 wrong arguments.</returns>
    public static async Task<int> RunAsync(ImmutableArray<string> arguments, TimeProvider time)
    {
        var (run, lockPath, reportPath) = (Argument(arguments, "--run"), Argument(arguments, "--lock"), Argument(arguments, "--report"));
        if (run is null)
        {
            await Console.Error.WriteLineAsync("loom internal guardian: --run ID is missing; it is started by Loom itself, not by hand").ConfigureAwait(false);
            return 2;
        }

        // A stray TERM or HUP for everybody must not take the one process that has to outlive the others.
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, c => c.Cancel = true);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, c => c.Cancel = true);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, c => c.Cancel = true);
        using var held = Hold(lockPath);
        var registry = new GuardianRegistry();
        ReadAll(registry);
        if (registry.Dismissed)
        {
            return 0;
        }

        // Not got at first when a predecessor was still at work; from here on the next start must wait for us.
        using var heldNow = held is null ? Hold(lockPath) : null;
        var children = registry.Children;
        var survivors = await Leftovers.EndAsync(run, children, registry.Strays, Argument(arguments, "--cgroup"), fresh: true, time, CancellationToken.None).ConfigureAwait(false);
        if (reportPath is not null)
        {
            Report(reportPath, run, children.Length, survivors, time);
        }

        return survivors.IsEmpty ? 0 : 1;
    }

    private static FileLock? Hold(string? path)
    {
        try
        {
            return path is null ? null : FileLock.TryAcquire(path);
        }
        catch (IOException)
        {
            return null; // the folder has gone with the project: guarding matters more than the lock
        }
    }

    private static string? Argument(ImmutableArray<string> arguments, string name)
    {
        var at = arguments.IndexOf(name);
        return at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : null;
    }

    private static unsafe void ReadAll(GuardianRegistry registry)
    {
        var buffer = stackalloc byte[4096];
        while (true)
        {
            var count = (int)Libc.Read(0, buffer, 4096);
            if (count > 0)
            {
                registry.Feed(new ReadOnlySpan<byte>(buffer, count));
            }
            else if (count == 0 || Marshal.GetLastPInvokeError() != Linux.Interrupted)
            {
                return;
            }
        }
    }

    private static void Report(string path, string run, int children, ImmutableArray<string> survivors, TimeProvider time)
    {
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{time.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} the runtime of run {run} ended without a farewell; {children} children ended by the guardian; survivors: {(survivors.IsEmpty ? "none" : string.Join(", ", survivors))}\n");
        try
        {
            DurableFile.Write(path, Encoding.UTF8.GetBytes(text));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder may be gone with the project: the processes are ended, the note is not worth a failure.
        }
    }
}

/// <summary>What a guardian knows: built from the bytes of the pipe, cut anywhere.</summary>
internal sealed class GuardianRegistry
{
    private readonly Dictionary<ProcessIdentity, TimeSpan> _children = [];
    private readonly HashSet<ProcessIdentity> _strays = [];
    private readonly List<byte> _line = [];

    /// <summary>True after a farewell.</summary>
    internal bool Dismissed { get; private set; }

    internal ImmutableArray<Leftover> Children => [.. _children.Select(c => new Leftover(c.Key, c.Value))];

    internal ImmutableArray<ProcessIdentity> Strays => [.. _strays];

    internal void Feed(ReadOnlySpan<byte> data)
    {
        foreach (var value in data)
        {
            if (value != (byte)'\n')
            {
                _line.Add(value);
                continue;
            }

            Take(GuardianMessage.Parse(Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(_line))));
            _line.Clear();
        }
    }

    private void Take(GuardianMessage? message)
    {
        switch (message)
        {
            case GuardianMessage.Child child:
                _children[child.Identity] = child.Grace;
                break;
            case GuardianMessage.Stray stray:
                _strays.Add(stray.Identity);
                break;
            case GuardianMessage.Gone gone:
                _children.Remove(gone.Identity);
                _strays.Remove(gone.Identity);
                break;
            case GuardianMessage.Bye:
                Dismissed = true;
                break;
        }
    }
}
