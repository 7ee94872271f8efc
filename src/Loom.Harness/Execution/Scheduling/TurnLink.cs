using Loom.Components;
using Loom.Harness.Capabilities;

namespace Loom.Harness.Execution.Scheduling;

/// <summary>Outermost in every chain under the deterministic scheduler: others have their turn before each event, or batch, of this component.</summary>
internal sealed class TurnLink<TIn, TOut>(Lane lane, ItemComponent<TIn, TOut> component) : Link("turn")
{
    public override async ValueTask InvokeAsync(Call call)
    {
        await lane.TurnAsync(() => Of(call)).ConfigureAwait(true);
        await Next.InvokeAsync(call).ConfigureAwait(true);
    }

    private Turn Of(Call call)
    {
        var first = call.Contexts[0];
        var port = component.Inputs[call switch
        {
            ItemCall<TIn, TOut> item => item.Port,
            BatchCall<TIn, TOut> batch => batch.All.Port,
            _ => 0,
        }];
        return new Turn(call.Component, port, first.Id, first.Data, call.Items);
    }
}
