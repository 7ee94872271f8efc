using System.Text;
using Loom.Control.Gateway;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Loom.Control.Tasks;

/// <summary>Sends one reader the events of a task, from where it left off to the terminal event.</summary>
internal sealed class TaskEventStream(HttpContext http, TaskEntry task, bool verbose, GatewayOptions options, TimeProvider time)
{
    private static readonly byte[] s_comment = Encoding.ASCII.GetBytes(": \n\n");

    /// <summary>Runs to the end of the stream.</summary>
    /// <param name="after">
    /// Number of the last event the reader has; 0 = none. A number the task has not reached is of its life before a restart, whose events are gone: all are sent.
    /// </param>
    /// <param name="ends">Fires when the client is gone or the server lets its readers go; the stream is then cut, without a terminal event.</param>
    /// <exception cref="ProblemException">410: what follows that event is no longer kept.</exception>
    public async Task RunAsync(long after, CancellationToken ends)
    {
        if (after > task.Events.Last)
        {
            after = 0;
        }

        var events = new List<TaskEvent>(EventRing.ReaderRoom);
        task.ReaderJoined(verbose, 1);
        try
        {
            while (true)
            {
                switch (task.Events.Take(ref after, verbose, events))
                {
                    case RingAnswer.Some:
                        await SendAsync(events, ends).ConfigureAwait(false);
                        break;
                    case RingAnswer.Wait:
                        await WaitAsync(after, ends).ConfigureAwait(false);
                        break;
                    case RingAnswer.Over:
                        await BeginAsync(ends).ConfigureAwait(false);
                        return;
                    default:
                        throw Lost(after);
                }
            }
        }
        catch (OperationCanceledException) when (!http.RequestAborted.IsCancellationRequested)
        {
            // The server lets its readers go, or this one accepts no bytes: a cut stream says that more would have come.
            if (!http.Response.HasStarted)
            {
                throw new ProblemException(new Problem(ProblemCode.NodeUnavailable, "the server is shutting down; follow the task again when it is back", Backoff: new Backoff(1000)));
            }

            throw new ResponseCutException();
        }
        finally
        {
            task.ReaderJoined(verbose, -1);
        }
    }

    private ValueTask BeginAsync(CancellationToken ends)
    {
        if (http.Response.HasStarted)
        {
            return ValueTask.CompletedTask;
        }

        // A stream may be as slow as its task; the stall limit minds readers that do not read.
        http.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        LoomHeaders.Stream(http.Response.Headers);
        return FlushAsync(ends);
    }

    private async ValueTask SendAsync(List<TaskEvent> events, CancellationToken ends)
    {
        await BeginAsync(ends).ConfigureAwait(false);
        foreach (var one in events)
        {
            http.Response.BodyWriter.Append(one.Wire);
        }

        await FlushAsync(ends).ConfigureAwait(false);
    }

    private async ValueTask WaitAsync(long after, CancellationToken ends)
    {
        await BeginAsync(ends).ConfigureAwait(false);
        var changed = task.Events.ChangedAsync(after);
        await changed.WaitAsync(options.SseKeepAlive, time, ends).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ends.ThrowIfCancellationRequested();
        if (!changed.IsCompleted)
        {
            http.Response.BodyWriter.Append(s_comment);
            await FlushAsync(ends).ConfigureAwait(false);
        }
    }

    private async ValueTask FlushAsync(CancellationToken ends)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ends);
        using var stall = new CancellationTokenSource(options.ClientStallTimeout, time);
        await using (stall.Token.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit).ConfigureAwait(false))
        {
            await http.Response.BodyWriter.FlushAsync(limit.Token).ConfigureAwait(false);
        }
    }

    private Exception Lost(long after) => http.Response.HasStarted
        ? new ResponseCutException()
        : new ProblemException(new Problem(
            ProblemCode.NotFound, $"events after {after} of task '{task.Id}' are no longer kept ({EventRing.Room / 1024 / 1024} MiB are); ask for the task itself", Status: 410));
}
