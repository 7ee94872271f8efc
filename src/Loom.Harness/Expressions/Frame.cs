using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Expressions;

/// <summary>One evaluation: what it is about, the loop variables in use and the steps it may still take.</summary>
internal ref struct Frame
{
    /// <summary>Operators, calls and turns of loops one evaluation may take.</summary>
    public const int StepLimit = 10_000;

    private int _steps;
    private Value[]? _locals;

    public Frame(in Event<JsonElement> e) => Event = ref e;

    public Frame(IMetricValues metrics) => Metrics = metrics;

    /// <summary>The event; a null reference in an expression over metrics.</summary>
    public readonly ref readonly Event<JsonElement> Event;

    /// <summary>Null in an expression over events.</summary>
    public IMetricValues? Metrics { get; }

    public readonly bool IsExhausted => _steps > StepLimit;

    /// <summary>Counts one step; false when there were too many.</summary>
    public bool Step() => ++_steps <= StepLimit;

    public readonly Value Local(int slot) => _locals![slot];

    public void SetLocal(int slot, in Value value)
    {
        if (_locals is null || _locals.Length <= slot)
        {
            Array.Resize(ref _locals, Math.Max(slot + 1, 2));
        }

        _locals[slot] = value;
    }
}
