using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>SchemaValidator: a payload that does not fit the port's schema is refused as <c>schema_invalid</c> before anything else sees it.</summary>
/// <param name="check">The error for a payload that does not fit, or null; names the place by JSON pointer.</param>
/// <param name="counters">Told of those that do not.</param>
internal sealed class SchemaLink<TIn>(Func<TIn, ItemException?> check, LinkCounters counters) : Link("SchemaValidator")
{
    public override ValueTask InvokeAsync(Call call)
    {
        var items = call.Items;
        try
        {
            ((Call<TIn>)call).Check(check);
        }
        catch
        {
            counters.Failed();
            throw;
        }

        if (call.Items == items)
        {
            return Next.InvokeAsync(call);
        }

        counters.Failed(items - call.Items);
        return call.Items == 0 ? default : Next.InvokeAsync(call);
    }
}
