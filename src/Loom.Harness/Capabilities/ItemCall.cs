using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>One event on its way through the chain.</summary>
internal sealed class ItemCall<TIn, TOut> : Call<TIn>
{
    private readonly Event<TIn>[] _own = new Event<TIn>[1];
    private Event<TIn>[] _at;
    private int _index;

    public ItemCall(string component, Emitter<TOut> output)
        : base(component, isBatch: false)
    {
        Output = output;
        _at = _own;
    }

    /// <summary>The event, where it lies.</summary>
    public ref readonly Event<TIn> Event => ref _at[_index];

    /// <summary>The input port it came by.</summary>
    public int Port { get; private set; }

    public Emitter<TOut> Output { get; }

    public override int Items => 1;

    public override bool CanRepeat => !Output.ReleasedEarly;

    public override IReadOnlyList<ItemContext> Contexts => [new ItemContext(Component, Event.Id, Event.Key, Event.Data, Attempt)];

    /// <summary>Where the next event is read into, without a copy; followed by <see cref="Taken"/>.</summary>
    public ref Event<TIn> Slot => ref _own[0];

    /// <summary>Takes an event that stays where it is for as long as the call lasts; followed by <see cref="Taken"/>.</summary>
    public void Point(Event<TIn>[] slots, int index)
    {
        if (!ReferenceEquals(_at, slots))
        {
            _at = slots;
        }

        _index = index;
    }

    public void Taken(int port)
    {
        Port = port;
        Output.ReleasedEarly = false;
        Start();
    }

    public override void Check(Func<TIn, ItemException?> check)
    {
        if (check(Event.Data) is { } refused)
        {
            throw refused;
        }
    }

    protected override void Clear() => Output.Clear();
}
