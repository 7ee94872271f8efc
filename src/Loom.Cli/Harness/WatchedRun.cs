using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Web;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution;

namespace Loom.Cli.Harness;

/// <summary>
/// <c>loom harness run --watch</c>: whenever the files have changed and are right, the running system drains, which takes a checkpoint, and the new one goes on from there. Files that are
/// wrong are told, and the running system stays.
/// </summary>
internal sealed class WatchedRun(VerbContext context, HarnessSession session, HarnessRunner runner, ProcessSignals signals)
{
    private readonly WatchedFiles _files = new(session.Directory, session.DeploymentFile, context.Time);

    /// <summary>Runs until it is stopped or drained.</summary>
    /// <returns>The exit code of the last run.</returns>
    public async Task<int> RunAsync(HarnessRequest request, int? port, CancellationToken over)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, over);
        var exit = ExitCode.Ok;
        var right = await CheckAsync(stop.Token).ConfigureAwait(false);
        while (!stop.IsCancellationRequested)
        {
            using var restart = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
            var running = right ? OnceAsync(request, port, restart.Token) : Task.FromResult(ExitCode.Failed);
            right = await WaitAsync(running, stop.Token).ConfigureAwait(false);
            await restart.CancelAsync().ConfigureAwait(false);
            exit = await running.ConfigureAwait(false);
            request = request with { Fresh = false, From = null };
            if (runner.WasDrained)
            {
                break;
            }
        }

        return exit;
    }

    // True when the files are right and the next run may begin; false when everything is over.
    private async Task<bool> WaitAsync(Task<int> running, CancellationToken stop)
    {
        var told = false;
        var changing = _files.ChangedAsync(stop);
        while (true)
        {
            var first = told ? changing : await Task.WhenAny(changing, running).ConfigureAwait(false);
            if (first == running && !changing.IsCompleted)
            {
                if (runner.WasDrained || stop.IsCancellationRequested)
                {
                    return false;
                }

                told = true;
                context.Terminal.Note("waiting for a change of the system's files; Ctrl+C ends");
                continue;
            }

            IReadOnlyList<string> changed;
            try
            {
                changed = await changing.ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return false;
            }

            if (await CheckAsync(stop).ConfigureAwait(false))
            {
                context.Terminal.Note($"changed: {string.Join(", ", changed)}; whole system restarted: it drains, and the new one goes on from its checkpoint");
                return true;
            }

            context.Terminal.Note(running.IsCompleted ? $"changed: {string.Join(", ", changed)}; not started" : $"changed: {string.Join(", ", changed)}; the running system stays as it is");
            changing = _files.ChangedAsync(stop);
        }
    }

    private async Task<bool> CheckAsync(CancellationToken stop)
    {
        _files.Look();
        try
        {
            var loaded = await session.LoadAsync(stop).ConfigureAwait(false);
            var findings = loaded.Findings;
            FindingText.Write(context.Terminal, context.Terminal.Err, findings);
            return findings.All(f => f.Severity != Severity.Error);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return false;
        }
    }

    // What keeps one version from starting is told, and may be mended by the next save.
    private async Task<int> OnceAsync(HarnessRequest request, int? port, CancellationToken over)
    {
        try
        {
            return await runner.RunAsync(request, port, over, CancellationToken.None).ConfigureAwait(false);
        }
        catch (SystemFilesException e)
        {
            FindingText.Write(context.Terminal, context.Terminal.Err, e.Findings);
        }
        catch (Exception e) when (e is StateRequiredException or PortTakenException)
        {
            context.Terminal.Err.WriteLine(context.Terminal.Paint(Tone.Bad, $"error: {e.Message}"));
        }

        return ExitCode.Failed;
    }
}
