namespace Loom.Core.Queues;

/// <summary>
/// Counts how many occupied slots lie before a slot, in O(log n): a binary indexed tree. It lets a queue tell positions in its middle
/// without walking, although entries leave from anywhere.
/// </summary>
internal sealed class RankIndex
{
    private int[] _tree;

    public RankIndex(int size) => _tree = new int[size + 1];

    public int Size => _tree.Length - 1;

    public void Add(int slot, int delta)
    {
        for (var i = slot + 1; i < _tree.Length; i += i & -i)
        {
            _tree[i] += delta;
        }
    }

    public int CountBefore(int slot)
    {
        var count = 0;
        for (var i = slot; i > 0; i -= i & -i)
        {
            count += _tree[i];
        }

        return count;
    }

    /// <summary>Empties the index and marks the first <paramref name="occupied"/> of <paramref name="size"/> slots, in O(size).</summary>
    public void Reset(int size, int occupied)
    {
        if (size != Size)
        {
            _tree = new int[size + 1];
        }
        else
        {
            Array.Clear(_tree);
        }

        for (var i = 1; i < _tree.Length; i++)
        {
            _tree[i] += i <= occupied ? 1 : 0;
            var parent = i + (i & -i);
            if (parent < _tree.Length)
            {
                _tree[parent] += _tree[i];
            }
        }
    }
}
