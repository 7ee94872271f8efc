using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>All faults of one load, gathered in any order and told in one.</summary>
internal sealed class FaultList
{
    private readonly List<Fault> _faults = [];
    private readonly HashSet<string> _errorKeys = new(StringComparer.Ordinal);

    public void Add(Fault fault)
    {
        _faults.Add(fault);
        if (fault is { Severity: FaultSeverity.Error, Key: { } key })
        {
            _errorKeys.Add(fault.SettledKey ?? key);
        }
    }

    /// <summary>Whether a concrete key already has an error; cross rules leave such a key alone.</summary>
    public bool HasError(string key) => _errorKeys.Contains(key);

    /// <summary>File faults first, by file and place; the rest by key; unknown variables last.</summary>
    public ImmutableArray<Fault> Sorted()
    {
        var sorted = _faults.ToArray();
        Array.Sort(sorted, Compare);
        return [.. sorted];
    }

    private static int Compare(Fault a, Fault b)
    {
        var order = a.FileOrder.CompareTo(b.FileOrder);
        order = order != 0 ? order : (a.Source?.Line ?? 0).CompareTo(b.Source?.Line ?? 0);
        order = order != 0 ? order : (a.Source?.Column ?? 0).CompareTo(b.Source?.Column ?? 0);
        order = order != 0 ? order : (a.Key is null).CompareTo(b.Key is null);
        order = order != 0 ? order : string.CompareOrdinal(a.Key, b.Key);
        order = order != 0 ? order : string.CompareOrdinal(a.Variable, b.Variable);
        return order != 0 ? order : string.CompareOrdinal(a.Message, b.Message);
    }
}
