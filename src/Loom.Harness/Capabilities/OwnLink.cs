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
            if (batch is not null)
            {
                await AroundAsync(contexts, _aroundMembers ? 0 : contexts.Count, call).ConfigureAwait(true);
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

    // One in the other, the first member's outermost: the rest of the chain handles the batch as a whole.
    private ValueTask AroundAsync(IReadOnlyList<ItemContext> members, int at, Call call) =>
        at == members.Count ? Next.InvokeAsync(call) : capability.AroundProcessAsync(members[at], _ => AroundAsync(members, at + 1, call), call.Token);

    private static bool Overrides(Capability capability, string hook) =>
        capability.GetType().GetMethod(hook, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)?.DeclaringType != typeof(Capability);
}
