using System.Runtime.InteropServices;

namespace Loom.Runtime;

/// <summary>The runtime from C#: run a project, fetch programs, and know where they lie.</summary>
public static class LoomRuntime
{
    private const int Interrupted = 130;
    private const int Terminated = 143;

    /// <summary>
    /// Runs a project until it ends. Where <paramref name="cancellationToken"/> can never fire, this is taken for the main call of the process: Ctrl-C, SIGTERM
    /// and SIGHUP then stop the project in order. With a token of your own, signals stay yours; fire it to stop.
    /// </summary>
    /// <param name="config">What to run.</param>
    /// <param name="cancellationToken">Stops the project in order.</param>
    /// <returns>The exit code: 0 after a clean stop, 130 after Ctrl-C, 143 when SIGTERM came before it was up.</returns>
    /// <exception cref="ConfigException">The configuration is wrong; nothing was started.</exception>
    /// <exception cref="LoomException">It could not be started.</exception>
    public static async Task<int> RunOrchestratorAsync(OrchestratorConfig config, CancellationToken cancellationToken = default)
    {
        using var signals = cancellationToken.CanBeCanceled ? null : new StopSignals();
        var stop = signals?.Token ?? cancellationToken;
        var orchestrator = new Orchestrator(config);
        await using (orchestrator.ConfigureAwait(false))
        {
            try
            {
                await orchestrator.StartAsync(stop).ConfigureAwait(false);
                return await orchestrator.WaitAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                await orchestrator.StopAsync(CancellationToken.None).ConfigureAwait(false);
                var exit = orchestrator.ExitCode ?? Terminated;
                return signals?.First == PosixSignal.SIGINT && exit is (0 or Terminated) ? Interrupted : exit;
            }
        }
    }

    /// <summary>Finds or fetches a program: local build, then cache, then download, its checksum verified.</summary>
    /// <param name="name">For example <c>loom-bridge</c>.</param>
    /// <param name="version">An exact version, or <c>latest</c>.</param>
    /// <param name="forceDownload">Skip local builds and cache.</param>
    /// <param name="launch">Which <c>loom</c> does it; null = the one that is found.</param>
    /// <param name="cancellationToken">Ends the work; a cut download is resumed next time.</param>
    /// <returns>Absolute path of the executable.</returns>
    /// <exception cref="LoomException">It cannot be had: exit code 6 for a wrong or missing checksum, 8 when nobody answers.</exception>
    public static async Task<string> GetBinaryAsync(
        string name, string version = BinaryNames.Latest, bool forceDownload = false, LoomLaunch? launch = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentException.ThrowIfNullOrEmpty(version);
        string[] arguments = ["binaries", "fetch", $"{name}@{version}", "--json", "--no-input", .. forceDownload ? ["--force-download"] : Array.Empty<string>()];
        var (exit, output, errors) = await LoomProgram.RunAsync(launch ?? new LoomLaunch(), arguments, cancellationToken).ConfigureAwait(false);
        return exit == 0 && LoomAnswers.TryComplete(new System.Text.StringBuilder(), output.Trim()) is { } answer
            ? LoomAnswers.Text(answer, "path")!
            : throw LoomAnswers.Failure(exit, errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Where a program of an exact version lies in the cache, or would. Looks at nothing.</summary>
    /// <exception cref="ArgumentException">A name or version that cannot stand in a file name, or is not exact.</exception>
    public static string BinaryPath(string name, string version) => Path.Combine(CacheDir(), BinaryNames.Artifact(name, version));

    /// <summary>The cache of programs: <c>$XDG_CACHE_HOME/loom/bin</c>, else <c>~/.cache/loom/bin</c>.</summary>
    public static string CacheDir() => BinaryNames.CacheFolder(Environment.GetEnvironmentVariable);

    /// <summary>The platform as file names spell it, for example <c>linux-x86_64</c>.</summary>
    public static string PlatformTag() => BinaryNames.Platform;

    /// <summary>The signals that ask a program to end, while it is this library that answers them.</summary>
    private sealed class StopSignals : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly PosixSignalRegistration[] _registrations;

        public StopSignals() => _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle),
        ];

        public CancellationToken Token => _stop.Token;

        public PosixSignal? First { get; private set; }

        public void Dispose()
        {
            foreach (var registration in _registrations)
            {
                registration.Dispose();
            }

            _stop.Dispose();
        }

        private void Handle(PosixSignalContext context)
        {
            context.Cancel = true;
            if (First is null)
            {
                First = context.Signal;
                _stop.Cancel();
            }
        }
    }
}
