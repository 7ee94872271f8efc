using System.Text;
using K4os.Hash.xxHash;
using Loom.Components;

namespace Loom.Harness.Streams;

/// <summary>Which bindings of an output port an event takes: a pure choice, apart from the counters of the weighted one.</summary>
internal interface IRoute<T>
{
    /// <summary>Prepares the event at every binding it belongs to.</summary>
    /// <exception cref="ItemException">No binding can be chosen.</exception>
    void Choose(in Event<T> e, List<Target<T>> targets);
}

/// <summary>Every binding gets every event.</summary>
internal sealed class BroadcastRoute<T> : IRoute<T>
{
    public void Choose(in Event<T> e, List<Target<T>> targets)
    {
        foreach (var target in targets)
        {
            target.Prepare(e);
        }
    }
}

/// <summary>XXH64 (seed 0) of the key's canonical JSON, modulo the number of bindings.</summary>
/// <param name="key">The key's canonical JSON.</param>
internal sealed class HashRoute<T>(Func<Event<T>, string> key) : IRoute<T>
{
    public void Choose(in Event<T> e, List<Target<T>> targets) => targets[PartitionOf(key(e), targets.Count)].Prepare(e);

    public static int PartitionOf(string canonicalKey, int partitions)
    {
        Span<byte> small = stackalloc byte[256];
        var length = Encoding.UTF8.GetMaxByteCount(canonicalKey.Length);
        var bytes = length <= small.Length ? small : new byte[length];
        var hash = XXH64.DigestOf(bytes[..Encoding.UTF8.GetBytes(canonicalKey, bytes)]);
        return (int)(hash % (ulong)partitions);
    }
}

/// <summary>The first binding whose condition holds (or each of them); <c>default</c> catches the rest.</summary>
/// <param name="conditions">One for each binding; null is <c>default</c>.</param>
/// <param name="all">Every binding whose condition holds.</param>
internal sealed class ConditionalRoute<T>(IReadOnlyList<Func<Event<T>, bool>?> conditions, bool all) : IRoute<T>
{
    public void Choose(in Event<T> e, List<Target<T>> targets)
    {
        var chosen = false;
        for (var i = 0; i < targets.Count && (all || !chosen); i++)
        {
            if (conditions[i] is { } condition && condition(e))
            {
                targets[i].Prepare(e);
                chosen = true;
            }
        }

        for (var i = 0; i < targets.Count && !chosen; i++)
        {
            if (conditions[i] is null)
            {
                targets[i].Prepare(e);
                chosen = true;
            }
        }

        if (!chosen)
        {
            throw new ItemException("unrouted", "no condition took the event; add a binding with condition: default");
        }
    }
}

/// <summary>Smooth weighted round-robin: exact over each cycle of the weights' sum, and spread within it.</summary>
internal sealed class WeightedRoute<T> : IRoute<T>
{
    private int[] _current = [];

    public void Choose(in Event<T> e, List<Target<T>> targets)
    {
        if (_current.Length != targets.Count)
        {
            _current = new int[targets.Count];
        }

        var (best, total) = (0, 0);
        for (var i = 0; i < targets.Count; i++)
        {
            _current[i] += targets[i].Plan.Weight;
            total += targets[i].Plan.Weight;
            best = _current[i] > _current[best] ? i : best;
        }

        _current[best] -= total;
        targets[best].Prepare(e);
    }
}
