using System.Diagnostics.CodeAnalysis;
using Loom.Harness.Streams;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>
/// Who waits for word that what a component has sent is confirmed. A barrier stands behind all that was sent before it, so once it has come through the system those are told.
/// For the component's own loop alone; kept across its restarts.
/// </summary>
internal sealed partial class Acknowledgements(string component, TimeProvider time, ILogger log)
{
    // For all who are told at once: a broker that does not answer must not hold the source up.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly Queue<(CheckpointBarrier Barrier, List<Func<ValueTask>> Waiting)> _marked = [];
    private List<Func<ValueTask>> _since = [];

    /// <summary>Somebody waits for what was sent just now, or is about to be sent before the next barrier.</summary>
    public void Add(Func<ValueTask> acknowledge) => _since.Add(acknowledge);

    /// <summary>The component sends a barrier.</summary>
    public void Mark(CheckpointBarrier barrier)
    {
        if (_since.Count > 0)
        {
            _marked.Enqueue((barrier, _since));
            _since = [];
        }
    }

    /// <summary>A barrier is confirmed, and with it those that were given up before it.</summary>
    public async ValueTask TellAsync(CheckpointBarrier upTo, CancellationToken ct)
    {
        while (_marked.TryPeek(out var next) && next.Barrier.Number <= upTo.Number)
        {
            _marked.Dequeue();
            await TellAsync(next.Waiting, ct).ConfigureAwait(true);
        }
    }

    /// <summary>The run has ended well: everything is confirmed.</summary>
    public async ValueTask TellAllAsync(CancellationToken ct)
    {
        while (_marked.TryDequeue(out var next))
        {
            await TellAsync(next.Waiting, ct).ConfigureAwait(true);
        }

        await TellAsync(_since, ct).ConfigureAwait(true);
        _since.Clear();
    }

    // One who cannot be told keeps nobody else from it: what is confirmed and not acknowledged comes again, which is no loss.
    [SuppressMessage("Design", "CA1031", Justification = "The function is somebody else's; what it throws is told and concerns its own event.")]
    private async ValueTask TellAsync(List<Func<ValueTask>> waiting, CancellationToken ct)
    {
        var start = time.GetTimestamp();
        var (failed, first) = (0, (Exception?)null);
        foreach (var acknowledge in waiting)
        {
            try
            {
                var told = acknowledge();
                if (!told.IsCompletedSuccessfully)
                {
                    var left = s_patience - time.GetElapsedTime(start);
                    await told.AsTask().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, ct).ConfigureAwait(true);
                }
            }
            catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                failed++;
                first ??= e;
            }
        }

        if (first is not null)
        {
            LogUntold(log, component, failed, waiting.Count, first.Message);
        }
    }

    [LoggerMessage(EventId = 4021, Level = LogLevel.Warning, Message = "{Component}: {Failed} of {Count} events were done and could not be acknowledged; whoever sent them may send them again: {Why}")]
    private static partial void LogUntold(ILogger logger, string component, int failed, int count, string why);
}
