using System.Reflection;
using System.Runtime.ExceptionServices;
using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>A capability of the user's own: its hooks around the rest of the chain. After runs for each whose Before ran, also when a later one failed.</summary>
internal sealed class OwnLink(string name, Capability capability, TimeProvider time, LinkCounters counters) : Link(name)
{
    private readonly bool _aroundMembers =
        Overrides(capability, "AroundProcessAsync") && !Overrides(capability, "BeforeReceiveBatchAsync") && !Overrides(capability, "AfterSendBatchAsync");

    public override async ValueTask InvokeAsync(Call call)
    {
        var start = time.GetTimestamp();
        var contexts = call.Contexts;
        var batch = call.BatchId is { } id ? new BatchContext(call.Component, id, contexts) : null;
        if (batch is not null)
        {
            await capability.BeforeReceiveBatchAsync(batch, call.Token).ConfigureAwait(true);
        }
        else
        {
            await capability.BeforeProcessAsync(contexts[0], call.Token).ConfigureAwait(true);
        }

        ExceptionDispatchInfo? failure = null;
        try
        {
            if (_aroundMembers && batch is not null)
            {
                await AroundAsync(contexts, call).ConfigureAwait(true);
            }
            else if (batch is not null)
            {
                await Next.InvokeAsync(call).ConfigureAwait(true);
            }
            else
            {
                await capability.AroundProcessAsync(contexts[0], _ => Next.InvokeAsync(call), call.Token).ConfigureAwait(true);
            }
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
        }

        if (batch is not null)
        {
            await capability.AfterSendBatchAsync(batch, failure?.SourceException, call.Token).ConfigureAwait(true);
        }
        else
        {
            await capability.AfterProcessAsync(contexts[0], failure?.SourceException, call.Token).ConfigureAwait(true);
        }

        counters.Seconds.Add(time.GetElapsedTime(start));
        if (failure is not null)
        {
            counters.Failed();
            failure.Throw();
        }
    }

    // Each member goes in as far as next, one after the other; those that got there are handled as one batch; then each goes on to its end, as it would alone.
    private async ValueTask AroundAsync(IReadOnlyList<ItemContext> contexts, Call call)
    {
        var places = call.Places;
        var inside = new List<MemberAround>(contexts.Count);
        ExceptionDispatchInfo? whole = null;
        foreach (var item in contexts)
        {
            var member = await MemberAround.EnterAsync(capability, item, call.Token).ConfigureAwait(true);
            inside.Add(member);
            if (call.IsFailFast && member.Refused is { } refused)
            {
                whole = ExceptionDispatchInfo.Capture(refused);
                break;
            }
        }

        try
        {
            if (whole is null)
            {
                await call.PassAsync([.. inside.Select(m => m.HasReached)], Next).ConfigureAwait(true);
            }
        }
        catch (Exception e)
        {
            whole = ExceptionDispatchInfo.Capture(e);
        }

        var errors = new Exception?[inside.Count];
        for (var i = 0; i < errors.Length; i++)
        {
            errors[i] = await inside[i].LeaveAsync(call.IsFailFast ? whole?.SourceException : call.ErrorAt(places[i])).ConfigureAwait(true);
        }

        if (whole is not null && Array.TrueForAll(errors, e => ReferenceEquals(e, whole.SourceException)))
        {
            whole.Throw();
        }

        if (call.Token.IsCancellationRequested && Array.Find(errors, static e => e is OperationCanceledException) is { } cancelled)
        {
            ExceptionDispatchInfo.Throw(cancelled);
        }

        call.Judge(places, errors);
    }

    private static bool Overrides(Capability capability, string hook) =>
        capability.GetType().GetMethod(hook, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)?.DeclaringType != typeof(Capability);
}
