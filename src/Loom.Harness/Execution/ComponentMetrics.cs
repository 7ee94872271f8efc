using System.Collections.Concurrent;
using Loom.Components;

namespace Loom.Harness.Execution;

/// <summary>What a component counts of its own accord.</summary>
internal sealed class ComponentMetrics : IComponentMetrics
{
    private readonly ConcurrentDictionary<string, long> _counters = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, double> _gauges = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, long> Counters => _counters;

    public IReadOnlyDictionary<string, double> Gauges => _gauges;

    public void Count(string name, long by = 1) => _counters.AddOrUpdate(name, static (_, n) => n, static (_, old, n) => old + n, by);

    public void Set(string name, double value) => _gauges[name] = value;
}
