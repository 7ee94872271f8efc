using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>One event on its way through the chain.</summary>
internal sealed class ItemCall<TIn, TOut>(string component, Emitter<TOut> output) : Call<TIn>(component, isBatch: false)
{
    private Event<TIn> _event;

    public ref readonly Event<TIn> Event => ref _event;

    /// <summary>The input port it came by.</summary>
    public int Port { get; private set; }

    public Emitter<TOut> Output { get; } = output;

    public override int Items => 1;

    public override bool CanRepeat => !Output.ReleasedEarly;

    public override IReadOnlyList<ItemContext> Contexts => [new ItemContext(Component, _event.Id, _event.Key, _event.Data, Attempt)];

    /// <summary>Where the next event is read into, without a copy; followed by <see cref="Taken"/>.</summary>
    public ref Event<TIn> Slot => ref _event;

    public void Taken(int port)
    {
        Port = port;
        Output.ReleasedEarly = false;
        Start();
    }

    public override void Check(Func<TIn, ItemException?> check)
    {
        if (check(_event.Data) is { } refused)
        {
            throw refused;
        }
    }

    protected override void Clear() => Output.Clear();
}
