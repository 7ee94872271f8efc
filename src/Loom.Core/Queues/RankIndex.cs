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
        var block = word / WordsInBlock;
        var end = Math.Min(_words, (block + 1) * WordsInBlock);
        LowerByOne(_beforeWord.AsSpan(word + 1, end - word - 1));
        var blocks = (_words + WordsInBlock - 1) / WordsInBlock;
        LowerByOne(_beforeBlock.AsSpan(block + 1, blocks - block - 1));
    }

    public int CountBefore(int slot)
    {
        var word = slot >> 6;
        var earlier = _bits[word] & ((1UL << (slot & 63)) - 1);
        return _beforeBlock[word / WordsInBlock] + _beforeWord[word] + BitOperations.PopCount(earlier);
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

    private static void LowerByOne<TCount>(Span<TCount> counts)
        where TCount : unmanaged, INumberBase<TCount>
    {
        var vectors = MemoryMarshal.Cast<TCount, Vector<TCount>>(counts);
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] -= Vector<TCount>.One;
        }

        for (var i = vectors.Length * Vector<TCount>.Count; i < counts.Length; i++)
        {
            counts[i]--;
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
        _bits = new ulong[words];
        _beforeWord = new ushort[words];
        _beforeBlock = new int[(words + WordsInBlock - 1) / WordsInBlock];
        _words = 0;
    }
}
