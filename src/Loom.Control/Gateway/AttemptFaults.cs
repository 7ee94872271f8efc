using Loom.Control.Catalog;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Gateway;

/// <summary>What an attempt that threw has come to: the one judgement for calls and tasks.</summary>
internal static partial class AttemptFaults
{
    /// <summary>Whether <see cref="Judge"/> can say what an exception means; all others are our own faults and go on.</summary>
    public static bool Knows(Exception error, CallWatch watch) =>
        watch.Cause != EndCause.None || error is OperationCanceledException or HttpRequestException or IOException;

    /// <summary>How the attempt ended, told to node and desk where it is the replica's fault.</summary>
    /// <param name="error">What it threw.</param>
    /// <param name="services">Where faults are told.</param>
    /// <param name="watch">What may have ended it.</param>
    /// <param name="replica">The replica it ran on.</param>
    /// <param name="harmless">Nothing of the answer was used, so another replica may be tried.</param>
    public static AttemptResult Judge(Exception error, GatewayServices services, CallWatch watch, Replica replica, bool harmless)
    {
        if (watch.Cause is EndCause.NodeLost or EndCause.Drained && harmless)
        {
            var lost = EndProblems.Of(watch.Cause, services.Options, queued: false);
            return watch.Revive() ? AttemptResult.TryAgain(lost) : AttemptResult.Failed(EndProblems.Of(watch.Cause, services.Options, queued: false));
        }

        if (watch.Cause != EndCause.None)
        {
            if (watch.Cause is EndCause.FirstTokenTimeout or EndCause.StreamIdle)
            {
                services.Nodes.ReportFault(replica.Status.Id, "the engine is silent");
            }

            return AttemptResult.Failed(EndProblems.Of(watch.Cause, services.Options, queued: false));
        }

        // Nobody ended the attempt, so the client library gave up: only its limit on connecting does that.
        return Broken(
            error is OperationCanceledException
                ? new HttpRequestException(HttpRequestError.ConnectionError, $"no connection within {services.Options.ConnectTimeout.TotalSeconds:G3} s", error)
                : error,
            services,
            replica,
            harmless);
    }

    private static AttemptResult Broken(Exception error, GatewayServices services, Replica replica, bool harmless)
    {
        var id = replica.Status.Id;
        LogBroken(services.Log, id, error.Message);
        services.Nodes.ReportFault(id, error.Message);
        if (error is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError })
        {
            services.Desk.Suspect(replica);
        }

        var problem = new Problem(ProblemCode.WorkerReset, $"the connection to '{id}' broke: {error.Message}", Backoff: new Backoff(1000));
        return harmless ? AttemptResult.TryAgain(problem) : AttemptResult.Failed(problem);
    }

    [LoggerMessage(EventId = 300, Level = LogLevel.Warning, Message = "connection to replica {Replica} broke: {Reason}")]
    private static partial void LogBroken(ILogger logger, ReplicaId replica, string reason);
}
