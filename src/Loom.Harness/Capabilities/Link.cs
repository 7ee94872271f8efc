namespace Loom.Harness.Capabilities;

/// <summary>
/// One capability in the chain of a component: it calls the next link, and the last one calls the component. Written so that a call that completes at
/// once passes without allocation: only a link that must wait becomes asynchronous.
/// </summary>
internal abstract class Link(string name)
{
    public string Name => name;

    public Link Next { get; set; } = Unlinked.Instance;

    public abstract ValueTask InvokeAsync(Call call);

    private sealed class Unlinked() : Link("none")
    {
        public static Unlinked Instance { get; } = new();

        public override ValueTask InvokeAsync(Call call) => throw new InvalidOperationException("the chain has no end");
    }
}
