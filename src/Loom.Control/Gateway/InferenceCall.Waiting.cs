using Loom.Control.Admission;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Gateway;

// The wait for a slot, and the ways in which it ends without one.
internal sealed partial class InferenceCall
{
    private async ValueTask<Problem?> AwaitSlotAsync()
    {
        _waitedForSlot = true;
        if (_deadline is null)
        {
            _watch.Expect(EndCause.QueueTimeout, _services.Options.QueueTimeout);
        }
        else
        {
            // Else the limit of the phase before would end the wait.
            _watch.ExpectNothing();
        }

        var wait = _ticket.WaitAsync();
        WaitOutcome outcome;
        await using (_watch.Token.UnsafeRegister(static call => ((InferenceCall)call!).LeaveQueue(), this).ConfigureAwait(false))
        {
            if (_request.Stream)
            {
                var pending = wait.AsTask();
                await _waiting.WaitAsync(pending, _ticket, CancellationToken.None).ConfigureAwait(false);
                outcome = await pending.ConfigureAwait(false);
            }
            else
            {
                outcome = await wait.ConfigureAwait(false);
            }
        }

        return outcome switch
        {
            WaitOutcome.Granted when _watch.Cause == EndCause.None => null,
            WaitOutcome.Evicted => Rejected(Evicted()),
            WaitOutcome.Unavailable => _ticket.Refusal ?? Unavailable(),
            WaitOutcome.LoadFailed => Rejected(_ticket.Refusal!),
            WaitOutcome.Closed => EndProblems.Of(EndCause.Shutdown, _services.Options, queued: true),
            _ => EndProblems.Of(_watch.Cause, _services.Options, queued: true),
        };
    }

    private void LeaveQueue() => _services.Desk.Leave(_ticket);

    private Problem Evicted()
    {
        var text = $"a newer request took this one's place in a full queue of {_services.Admission.Capacity} (policy {_services.Admission.PolicyName})";
        return new Problem(ProblemCode.QueueFullDropLru, text, Backoff: _services.Desk.BackoffFor(_route!, leastMs: 1));
    }

    private Problem Unavailable()
    {
        if (_ticket.Route.Replicas.Length == 0 || !_ticket.Route.CanWait)
        {
            var (code, reason) = _ticket.Route.Unavailability();
            return new Problem(code, reason, Backoff: _services.Desk.BackoffFor(_ticket.Route, leastMs: 1000));
        }

        var text = $"every replica that could serve model '{_route!.Model}' has gone while the request waited";
        return new Problem(ProblemCode.ReplicaExhausted, text, Backoff: _services.Desk.BackoffFor(_ticket.Route, leastMs: 1000));
    }

    private Problem Rejected(Problem problem)
    {
        _services.Metrics.Rejected(Engine, _ticket.Class, problem.Code, _services.Admission.PolicyName);
        return problem;
    }

    private Problem Exhausted(Problem last)
    {
        if (last.Code == ProblemCode.PoolUnready)
        {
            // Its pool is being emptied; nothing failed.
            return last;
        }

        var text = $"{_attempts} of at most {_services.Admission.DispatchAttempts} attempts failed and no other replica of model '{_route!.Model}' is left; last: {last.Message}";
        return new Problem(ProblemCode.ReplicaExhausted, text, Backoff: _services.Desk.BackoffFor(_ticket.Route, leastMs: 1000));
    }
}
