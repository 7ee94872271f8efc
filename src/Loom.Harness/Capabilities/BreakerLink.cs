using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Capabilities;

/// <summary>
/// CircuitBreaker: after failures in a row nothing is tried for a while. By default an event waits meanwhile, so the input backs up; with
/// <paramref name="fail"/> it is refused at once as <c>breaker_open</c>. An event that is itself at fault counts neither way.
/// </summary>
internal sealed class BreakerLink(Breaker breaker, bool fail, TimeProvider time, LinkCounters counters) : Link("CircuitBreaker")
{
    public Breaker Breaker => breaker;

    public override ValueTask InvokeAsync(Call call)
    {
        if (!breaker.MayPass(out var wait))
        {
            return fail
                ? ValueTask.FromException(new ItemException("breaker_open", "the circuit breaker is open", ErrorClass.Transient))
                : WaitAsync(call, wait);
        }

        var next = Begin(call);
        if (!next.IsCompletedSuccessfully)
        {
            return AwaitAsync(next);
        }

        next.GetAwaiter().GetResult();
        breaker.Succeeded();
        return default;
    }

    private async ValueTask WaitAsync(Call call, TimeSpan wait)
    {
        counters.Waited();
        var start = time.GetTimestamp();
        do
        {
            await Task.Delay(wait, time, call.Run).ConfigureAwait(true);
        }
        while (!breaker.MayPass(out wait));
        counters.Seconds.Add(time.GetElapsedTime(start));

        await AwaitAsync(Begin(call)).ConfigureAwait(true);
    }

    // What the rest of the chain throws before it waits is judged like what it throws later.
    private ValueTask Begin(Call call)
    {
        try
        {
            return Next.InvokeAsync(call);
        }
        catch (Exception e)
        {
            Judge(e);
            throw;
        }
    }

    private async ValueTask AwaitAsync(ValueTask next)
    {
        try
        {
            await next.ConfigureAwait(true);
        }
        catch (Exception e)
        {
            Judge(e);
            throw;
        }

        breaker.Succeeded();
    }

    private void Judge(Exception error)
    {
        if (error is not OperationCanceledException && ErrorClasses.Of(error) != ErrorClass.Permanent)
        {
            breaker.Failed();
            counters.Failed();
        }
        else
        {
            breaker.Undecided();
        }
    }
}
