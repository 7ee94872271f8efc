using Loom.Components;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Capabilities;

/// <summary>The end of the chain: the component itself.</summary>
internal sealed class HandlerLink<TIn, TOut>(ItemComponent<TIn, TOut> component) : Link("component")
{
    public override ValueTask InvokeAsync(Call call)
    {
        if (call is ItemCall<TIn, TOut> item)
        {
            return item.Event.IsTraced ? TracedAsync(item) : component.HandleAsync(item.Port, item.Event, item.Output, item.Token);
        }

        var batch = (BatchCall<TIn, TOut>)call;
        return Tracing.IsOn ? TracedAsync(batch) : InvokeAsync(batch);
    }

    private ValueTask InvokeAsync(BatchCall<TIn, TOut> batch)
    {
        if (!component.HandlesBatches)
        {
            return OneByOneAsync(batch);
        }

        var handled = component.HandleBatchAsync(batch.Members, batch.Output, batch.Token);
        if (!handled.IsCompletedSuccessfully)
        {
            return SettleAsync(batch, handled);
        }

        handled.GetAwaiter().GetResult();
        batch.Settle();
        return default;
    }

    private async ValueTask TracedAsync(ItemCall<TIn, TOut> item)
    {
        using var hop = Tracing.Hop(item.Component, item.Event);
        try
        {
            await component.HandleAsync(item.Port, item.Event, item.Output, item.Token).ConfigureAwait(true);
        }
        catch (Exception e)
        {
            Tracing.Fail(hop, e);
            throw;
        }
    }

    // Each traced member has the whole batch for its span.
    private async ValueTask TracedAsync(BatchCall<TIn, TOut> batch)
    {
        var hops = batch.Members.Where(e => e.IsTraced).Select(e => Tracing.Hop(batch.Component, e)?.SetTag("loom.batch_id", batch.BatchId)).ToList();
        try
        {
            await InvokeAsync(batch).ConfigureAwait(true);
        }
        catch (Exception e)
        {
            hops.ForEach(hop => Tracing.Fail(hop, e));
            throw;
        }
        finally
        {
            hops.ForEach(static hop => hop?.Dispose());
        }
    }

    private static async ValueTask SettleAsync(BatchCall<TIn, TOut> batch, ValueTask handled)
    {
        await handled.ConfigureAwait(true);
        batch.Settle();
    }

    // A component without batches of its own gets the members one by one, inside the batch.
    private async ValueTask OneByOneAsync(BatchCall<TIn, TOut> batch)
    {
        var emitter = new Emitter<TOut>(component.Outputs);
        for (var i = 0; i < batch.Members.Count; i++)
        {
            emitter.Clear();
            try
            {
                await component.HandleAsync(batch.Members.Port, batch.Members[i], emitter, batch.Token).ConfigureAwait(true);
                for (var sent = 0; sent < emitter.Count; sent++)
                {
                    batch.Output.Send(i, emitter.PortIndexOf(sent), emitter[sent]);
                }
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                batch.Output.Fail(i, e);
            }
        }

        batch.Settle();
    }
}
