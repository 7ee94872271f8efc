using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>What a client is told when its call was ended. Pure.</summary>
internal static class EndProblems
{
    private static readonly Backoff s_second = new(1000);

    /// <summary>The error for a cause; for a client that is gone, one that only the records see.</summary>
    public static Problem Of(EndCause cause, GatewayOptions options, bool queued) => cause switch
    {
        EndCause.SlowBody =>
            new(ProblemCode.RequestTimeout, $"the request body did not arrive within {options.BodyTimeout.TotalSeconds:F0} s"),
        EndCause.QueueTimeout =>
            new(ProblemCode.DeadlineUnmet, $"no slot became free within {options.QueueTimeout.TotalMilliseconds:F0} ms (serving.queue_timeout_ms)"),
        EndCause.Deadline when queued =>
            new(ProblemCode.DeadlineUnmet, "the deadline given in x-loom-deadline-ms passed while the request waited for a slot"),
        EndCause.Deadline =>
            new(ProblemCode.DecodeTimeout, "the deadline given in x-loom-deadline-ms, or the time budget of the session, passed while the engine worked", Backoff: s_second),
        EndCause.FirstTokenTimeout =>
            new(ProblemCode.DecodeTimeout, $"the engine sent nothing within {options.FirstTokenTimeout.TotalMilliseconds:F0} ms (serving.first_token_timeout_ms)", Backoff: s_second),
        EndCause.StreamIdle =>
            new(ProblemCode.DecodeTimeout, $"the engine fell silent for {options.StreamIdleTimeout.TotalMilliseconds:F0} ms (serving.stream_idle_timeout_ms)", Backoff: s_second),
        EndCause.Shutdown =>
            new(ProblemCode.NodeUnavailable, "the server shut down before the request was finished", Backoff: s_second),
        EndCause.NodeLost =>
            new(ProblemCode.WorkerReset, "the node that worked on the request was lost", Backoff: s_second),
        EndCause.Drained =>
            new(ProblemCode.PoolUnready, "the pool was emptied and its drain deadline passed before the request was finished", Backoff: s_second),
        _ => new(ProblemCode.RequestTimeout, "the client closed the connection"),
    };
}
