using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>SchemaValidator: a payload that does not fit the port's schema is refused as <c>schema_invalid</c> before anything else sees it.</summary>
/// <param name="check">The error for a payload that does not fit, or null; names the place by JSON pointer.</param>
internal sealed class SchemaLink<TIn>(Func<TIn, ItemException?> check) : Link("SchemaValidator")
{
    public override ValueTask InvokeAsync(Call call)
    {
        ((Call<TIn>)call).Check(check);
        return call.Items == 0 ? default : Next.InvokeAsync(call);
    }
}
