using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>The end of the chain: the component itself.</summary>
internal sealed class HandlerLink<TIn, TOut>(ItemComponent<TIn, TOut> component) : Link("component")
{
    public override ValueTask InvokeAsync(Call call)
    {
        if (call is ItemCall<TIn, TOut> item)
        {
            return component.HandleAsync(item.Port, item.Event, item.Output, item.Token);
        }

        var batch = (BatchCall<TIn, TOut>)call;
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
