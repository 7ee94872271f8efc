using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>The chain of a class with a loop of its own, around whatever it does with an event.</summary>
internal sealed class OwnChain<T> : IDisposable
{
    private readonly Link _chain;
    private readonly ItemCall<T, T> _call;
    private Func<Event<T>, CancellationToken, ValueTask> _handler = static (_, _) => default;

    public OwnChain(ChainBuilder builder, string component)
    {
        _call = new ItemCall<T, T>(component, new Emitter<T>());
        _chain = builder.Build<T>(new End(this));
    }

    public ValueTask InvokeAsync(in Event<T> e, Func<Event<T>, CancellationToken, ValueTask> handler, CancellationToken ct)
    {
        _handler = handler;
        _call.Run = ct;
        _call.Slot = e;
        _call.Taken(0);
        return _chain.InvokeAsync(_call);
    }

    public void Dispose() => _call.Dispose();

    private sealed class End(OwnChain<T> owner) : Link("component")
    {
        public override ValueTask InvokeAsync(Call call) => owner._handler(owner._call.Event, call.Token);
    }
}
