using Loom.Control.Catalog;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

// What is left behind when a call is over: the slot, the numbers, the record.
internal sealed partial class InferenceCall
{
    private void Release(bool measured)
    {
        if (!_ticket.HoldsLease)
        {
            return;
        }

        _ticket.FirstByteAt = _attempt.Record.FirstByteAt;
        _ticket.Tokens = Usage.Completion;
        var gone = _watch.Cause == EndCause.ClientGone;
        var phase = !gone ? null : _attempt.Record.FirstByteAt == 0 ? "prefill" : _request.Stream ? "streaming" : "non-streaming";
        if (_watch.Cause != EndCause.None && _attempts > 0 && !_ticket.Replica!.IsRemote)
        {
            // The engine was at work and may need a moment to see that nobody wants its answer.
            _services.Settler.Take(_ticket, phase, _watch.EndedAt);
            return;
        }

        _services.Desk.Release(_ticket, measured);
        if (phase is not null)
        {
            _services.Metrics.Cut(phase, _services.Time.GetElapsedTime(_watch.EndedAt).TotalSeconds);
        }
    }

    private void Record(Problem? problem)
    {
        var seconds = _services.Time.GetElapsedTime(_started).TotalSeconds;
        var model = _route?.Model ?? "";
        var name = _inference.Path;
        var gone = _watch.Cause == EndCause.ClientGone;
        var status = gone ? StatusCodes.Status499ClientClosedRequest : problem?.HttpStatus ?? _http.Response.StatusCode;
        _services.Metrics.Requested(name, model, status, seconds);
        _trace.End(status, problem, _attempts > 0 ? _attempt.Record.Usage : null, _ticket.Replica is { Status.Mock: true } && _attempts > 0);
        _record.End(status, problem?.Code, seconds * 1000, _attempts > 0 ? _attempt.Record.Usage : null);
        EndTurn();
        if (_route is null)
        {
            return;
        }

        if (gone)
        {
            _services.Metrics.Canceled(Engine, _ticket.Class);
        }
        else if (_watch.Cause == EndCause.ClientStall)
        {
            _services.Metrics.ClientStalled();
        }

        if (problem is null && _attempts > 0)
        {
            var engine = _attempt.Settle(_ticket.Replica!, model);
            _services.Metrics.Overhead(name, model, Math.Max(0, seconds - engine - (_waitedForSlot ? QueueMs / 1000 : 0)));
        }
    }

    private void EndTurn()
    {
        if (_turn is null)
        {
            return;
        }

        var ran = _attempts > 0;
        var usage = ran ? Usage : default;
        var took = ran ? _services.Time.GetElapsedTime(_ticket.GrantedAt) : TimeSpan.Zero;
        _turn.Settle(ran ? _ticket.Replica!.Status.Id : null, usage.Prompt, usage.Cached, usage.Completion, took);
        _turn = null;
    }

    private TokenUsage Usage => _attempt.Record.Usage ?? new TokenUsage(0, 0, _attempt.Record.Events);
}
