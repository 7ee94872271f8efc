using System.Globalization;
using Loom.Cli.Verbs;
using Loom.Harness.Execution;

namespace Loom.Cli.Harness;

/// <summary>One line a second on a terminal while a system runs; nothing where the output is piped.</summary>
internal sealed class RunLine(VerbContext context, SystemAssembly assembly)
{
    private static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    public async Task ShowAsync(CancellationToken stop)
    {
        if (!context.Terminal.ErrIsTerminal || context.Terminal.Quiet || context.Terminal.Json)
        {
            return;
        }

        var before = 0L;
        using var timer = new PeriodicTimer(s_every, context.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                var snapshot = RunSnapshot.Of(assembly);
                var read = snapshot.Read(assembly);
                context.Terminal.Err.Write(Line(snapshot, read, read - before));
                before = read;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            context.Terminal.Err.Write("\r\u001b[K");
        }
    }

    private string Line(RunSnapshot snapshot, long read, long rate)
    {
        var waiting = snapshot.Streams.Sum(s => s.Depth);
        var failed = snapshot.Components.Sum(c => c.Failed);
        var text = string.Create(CultureInfo.InvariantCulture, $"{read:N0} read  {rate:N0}/s  {waiting:N0} in streams  {failed:N0} dead-lettered");
        text += snapshot.Checkpoints?.Last is { } last ? $"  checkpoint {last.Id}" : "";
        text += snapshot.Bottleneck is { } slowest ? $"  waits for {slowest}" : "";
        return "\r\u001b[K" + (context.Terminal.Width > 1 && text.Length >= context.Terminal.Width ? text[..(context.Terminal.Width - 1)] : text);
    }
}
