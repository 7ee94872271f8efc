using System.Numerics;
using System.Runtime.InteropServices;

namespace Loom.Core.Queues;

/// <summary>
/// Counts how many occupied slots lie before a slot: a bit a slot, beside running counts by word (64 slots) and by block (64 words). A count
/// is three loads whatever the depth, an append touches one word, and a removal shifts the counts behind it, a vector at a time. It lets a
/// queue tell positions in its middle without walking, although entries leave from anywhere.
/// </summary>
internal sealed class RankIndex
{
    private const int WordsInBlock = 64;

    private ulong[] _bits = [];

    // Occupied slots in earlier words of the same block (at most 4,032), and in earlier blocks.
    private ushort[] _beforeWord = [];
    private int[] _beforeBlock = [];
    private int _words;

    public RankIndex(int size) => Allocate(size);

    public int Size { get; private set; }

    /// <summary>Occupies a slot; slots are appended in rising order.</summary>
    public void Append(int slot)
    {
        var word = slot >> 6;
        if (word >= _words)
        {
            Open(word);
        }

        _bits[word] |= 1UL << (slot & 63);
    }

    public void Remove(int slot)
    {
        var word = slot >> 6;
        _bits[word] &= ~(1UL << (slot & 63));
        if (word + 1 < _words)
        {
            var (block, inBlock) = Math.DivRem(word, WordsInBlock);
            LowerBehind(_beforeWord.AsSpan(block * WordsInBlock, WordsInBlock), inBlock);
            foreach (ref var before in _beforeBlock.AsSpan(block + 1))
            {
                before--;
            }
        }
    }

    public int CountBefore(int slot)
    {
        var word = slot >> 6;
        var earlier = _bits[word] & ((1UL << (slot & 63)) - 1);
        return _beforeBlock[word / WordsInBlock] + _beforeWord[word] + BitOperations.PopCount(earlier);
    }

    /// <summary>The next occupied slot after one; -1 when there is none.</summary>
    public int Next(int slot)
    {
        var word = slot >> 6;
        var later = _bits[word] & (ulong.MaxValue << (slot & 63) << 1);
        while (later == 0)
        {
            if (++word >= _words)
            {
                return -1;
            }

            later = _bits[word];
        }

        return (word << 6) + BitOperations.TrailingZeroCount(later);
    }

    /// <summary>Empties the index and marks the first <paramref name="occupied"/> of <paramref name="size"/> slots, in O(size).</summary>
    public void Reset(int size, int occupied)
    {
        if (size != Size)
        {
            Allocate(size);
        }
        else
        {
            Array.Clear(_bits);
            _words = 0;
        }

        for (var slot = 0; slot < occupied; slot += 64)
        {
            Append(slot);
            _bits[slot >> 6] = occupied - slot >= 64 ? ulong.MaxValue : (1UL << (occupied - slot)) - 1;
        }
    }

    /// <summary>Lets slots be appended from the first again, once every one has been removed.</summary>
    public void Restart() => _words = 0;

    // One block is a few vectors: lowering all of it under a mask is less work than to begin in its middle. Counts of words that were never opened are of no use.
    private static void LowerBehind(Span<ushort> block, int word)
    {
        var behind = new Vector<ushort>((ushort)word);
        var vectors = MemoryMarshal.Cast<ushort, Vector<ushort>>(block);
        for (var i = 0; i < vectors.Length; i++)
        {
            var index = Vector.CreateSequence((ushort)(i * Vector<ushort>.Count), (ushort)1);
            // A comparison that holds gives all bits, which is minus one.
            vectors[i] += Vector.GreaterThan(index, behind);
        }
    }

    private void Open(int word)
    {
        for (; _words <= word; _words++)
        {
            var previous = _words - 1;
            var inFront = previous < 0 ? 0 : _beforeWord[previous] + BitOperations.PopCount(_bits[previous]);
            if (_words % WordsInBlock == 0)
            {
                _beforeWord[_words] = 0;
                _beforeBlock[_words / WordsInBlock] = inFront + (previous < 0 ? 0 : _beforeBlock[previous / WordsInBlock]);
            }
            else
            {
                _beforeWord[_words] = (ushort)inFront;
            }
        }
    }

    private void Allocate(int size)
    {
        Size = size;
        var words = (size + 63) / 64;
        var blocks = (words + WordsInBlock - 1) / WordsInBlock;
        _bits = new ulong[words];
        _beforeWord = new ushort[blocks * WordsInBlock];
        _beforeBlock = new int[blocks];
        _words = 0;
    }
}
