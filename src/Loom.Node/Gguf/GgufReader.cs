using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Node.Gguf;

/// <summary>
/// Reads the header of a GGUF model, and checks that the file is as long as its header says. Reads no weights, allocates little, and refuses counts no honest
/// file has, so that it can be pointed at anything.
/// </summary>
public static class GgufReader
{
    private const int MaxEntries = 1 << 16;
    private const int MaxTensors = 1 << 16;
    private const int MaxDimensions = 8;
    private const int MaxNameBytes = 1 << 10;

    /// <summary>Reads the model at <paramref name="path"/>.</summary>
    /// <exception cref="GgufException">The file is not a usable model; the message names the path.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static GgufModel Read(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1);
        try
        {
            return Read(file, file.Length);
        }
        catch (GgufException e)
        {
            throw new GgufException($"'{path}' is {e.Message}");
        }
    }

    /// <summary>Reads a model from the beginning of <paramref name="input"/>.</summary>
    /// <param name="input">Need not seek.</param>
    /// <param name="length">Length of the whole file.</param>
    /// <exception cref="GgufException">The file is not a usable model.</exception>
    public static GgufModel Read(Stream input, long length)
    {
        var cursor = new GgufCursor(input, length);
        if (length < 24 || cursor.UInt32() != 0x46554747)
        {
            throw cursor.Error($"it does not begin with 'GGUF' and a header ({length} bytes long)", 0);
        }

        var version = cursor.UInt32();
        if (version is not (2 or 3))
        {
            throw cursor.Error($"GGUF version {version} was found, 2 or 3 was expected", 4);
        }

        var tensorCount = cursor.Count("the number of tensors", MaxTensors);
        var entryCount = cursor.Count("the number of metadata entries", MaxEntries);
        var metadata = new Dictionary<string, object>(StringComparer.Ordinal);
        for (var i = 0; i < entryCount; i++)
        {
            var key = cursor.ShortText("a metadata key", MaxNameBytes);
            metadata[key] = GgufValue.Read(cursor, key);
        }

        var tensors = ReadTensors(cursor, tensorCount, Alignment(cursor, metadata));
        return Describe(cursor, metadata, tensors, length);
    }

    private static long Alignment(GgufCursor cursor, Dictionary<string, object> metadata)
    {
        var alignment = Integer(metadata, "general.alignment") ?? 32;
        return alignment is > 0 and <= 1 << 20 && (alignment & (alignment - 1)) == 0 ? alignment : throw cursor.Error($"an alignment of {alignment} is no power of two");
    }

    private static TensorTotals ReadTensors(GgufCursor cursor, int count, long alignment)
    {
        var totals = new TensorTotals();
        var ends = new List<(string Name, ulong Offset, long Bytes)>(Math.Min(count, 4096));
        for (var i = 0; i < count; i++)
        {
            var name = cursor.ShortText("a tensor name", MaxNameBytes);
            var at = cursor.Offset;
            var dimensions = cursor.UInt32();
            if (dimensions > MaxDimensions)
            {
                throw cursor.Error($"tensor '{name}' has {dimensions} dimensions, at most {MaxDimensions} were expected", at);
            }

            UInt128 elements = 1;
            for (var d = 0; d < dimensions; d++)
            {
                elements *= cursor.UInt64();
                if (elements > long.MaxValue)
                {
                    throw cursor.Error($"tensor '{name}' has more elements than any file holds", at);
                }
            }

            var number = cursor.UInt32();
            var offset = cursor.UInt64();
            var bytes = totals.Add(number, (long)elements);
            ends.Add((name, offset, bytes));
        }

        var data = (cursor.Offset + alignment - 1) / alignment * alignment;
        foreach (var (name, offset, bytes) in ends)
        {
            var end = (UInt128)data + offset + (UInt128)bytes;
            if (end > (UInt128)cursor.Length)
            {
                throw cursor.Error($"tensor '{name}' ends at byte {end}, but the file has {cursor.Length}; it is cut short or damaged, fetch it again");
            }
        }

        return totals;
    }

    private static GgufModel Describe(GgufCursor cursor, Dictionary<string, object> metadata, TensorTotals tensors, long length)
    {
        var architecture = Text(metadata, "general.architecture") ?? throw cursor.Error("the metadata lacks 'general.architecture'");
        int? Of(string name) => Integer(metadata, $"{architecture}.{name}") is { } value && value is >= 0 and <= int.MaxValue ? (int)value : null;

        var blocks = Of("block_count") ?? 0;
        var embedding = Of("embedding_length") ?? 0;
        var heads = PerBlock(metadata, $"{architecture}.attention.head_count", Math.Min(blocks, MaxTensors));
        var kvHeads = PerBlock(metadata, $"{architecture}.attention.head_count_kv", Math.Min(blocks, MaxTensors));
        kvHeads = kvHeads.IsEmpty ? heads : kvHeads;
        var headCount = heads.IsEmpty ? 0 : heads.Max();
        var headLength = headCount > 0 ? embedding / headCount : 0;
        var keyValue = (long)(Of("attention.key_length") ?? headLength) + (Of("attention.value_length") ?? headLength);
        return new GgufModel
        {
            Architecture = architecture,
            Name = Text(metadata, "general.name"),
            Description = Text(metadata, "general.description"),
            ContextLength = Of("context_length"),
            BlockCount = blocks,
            EmbeddingLength = embedding,
            HeadCount = headCount,
            KvHeadCounts = kvHeads,
            KvElementsPerToken = kvHeads.Sum(count => (long)count) * keyValue,
            TokenizerModel = Text(metadata, "tokenizer.ggml.model"),
            VocabularySize = metadata.GetValueOrDefault("tokenizer.ggml.tokens") is GgufArray tokens ? tokens.Count : Of("vocab_size") ?? 0,
            HasChatTemplate = metadata.ContainsKey("tokenizer.chat_template"),
            SplitCount = (int)Math.Clamp(Integer(metadata, "split.count") ?? 1, 1, ushort.MaxValue),
            WeightType = tensors.CommonType,
            ParameterCount = tensors.Elements,
            WeightBytes = tensors.Bytes,
            FileBytes = length,
        };
    }

    /// <summary>A number a block: stated once for all, or as a list.</summary>
    private static ImmutableArray<int> PerBlock(Dictionary<string, object> metadata, string key, int blocks) => metadata.GetValueOrDefault(key) switch
    {
        GgufArray list => [.. list.Numbers.Select(n => (int)Math.Clamp(n, 0, int.MaxValue))],
        IConvertible => [.. Enumerable.Repeat((int)Math.Clamp(Integer(metadata, key) ?? 0, 0, int.MaxValue), blocks)],
        _ => [],
    };

    /// <summary>A text without control characters, so that printing it cannot harm a terminal.</summary>
    private static string? Text(Dictionary<string, object> metadata, string key) =>
        metadata.GetValueOrDefault(key) is string text ? string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)) : null;

    private static long? Integer(Dictionary<string, object> metadata, string key) =>
        metadata.GetValueOrDefault(key) is byte or sbyte or ushort or short or uint or int or long ? Convert.ToInt64(metadata[key], CultureInfo.InvariantCulture)
        : metadata.GetValueOrDefault(key) is ulong big ? (long)Math.Min(big, long.MaxValue) : null;

    private sealed class TensorTotals
    {
        private readonly Dictionary<string, long> _byType = new(StringComparer.Ordinal);

        public long Elements { get; private set; }

        public long Bytes { get; private set; }

        public string CommonType => _byType.Count == 0 ? "none" : _byType.MaxBy(pair => pair.Value).Key;

        /// <summary>Counts a tensor and returns its length in bytes; 0 for a type newer than this program.</summary>
        public long Add(uint number, long elements)
        {
            var type = GgufTensorType.Find(number);
            var bytes = type is { } known ? (UInt128)(elements / known.BlockLength) * (UInt128)known.BlockBytes : 0;
            var capped = (long)UInt128.Min(bytes, long.MaxValue / 2);
            Elements = (long)UInt128.Min((UInt128)Elements + (UInt128)elements, long.MaxValue);
            Bytes = (long)UInt128.Min((UInt128)Bytes + (UInt128)capped, long.MaxValue);
            var name = type?.Name ?? $"type {number}";
            _byType[name] = (long)UInt128.Min((UInt128)_byType.GetValueOrDefault(name) + (UInt128)elements, long.MaxValue);
            return capped;
        }
    }
}
