using System.Collections.Immutable;

namespace Loom.Node.Gguf;

/// <summary>A list in the metadata. Only short lists of whole numbers are kept; of others, vocabularies above all, only the length.</summary>
internal sealed record GgufArray(int Count, ImmutableArray<long> Numbers);

/// <summary>Reads metadata values.</summary>
internal static class GgufValue
{
    private const int MaxElements = 1 << 24;
    private const int MaxKeptNumbers = 1 << 12;
    private const int MaxKeptText = 1 << 16;
    private const int MaxDepth = 4;

    /// <summary>The value at the cursor: a number, a bool, a string (empty if longer than 64 KiB) or a <see cref="GgufArray"/>.</summary>
    public static object Read(GgufCursor cursor, string key) => Read(cursor, key, Type(cursor, key), 0);

    private static GgufValueType Type(GgufCursor cursor, string key)
    {
        var at = cursor.Offset;
        var number = cursor.UInt32();
        return number <= (uint)GgufValueType.Float64 ? (GgufValueType)number : throw cursor.Error($"metadata '{key}' has the unknown type {number}", at);
    }

    private static object Read(GgufCursor cursor, string key, GgufValueType type, int depth) => type switch
    {
        GgufValueType.UInt8 => cursor.Byte(),
        GgufValueType.Int8 => (sbyte)cursor.Byte(),
        GgufValueType.UInt16 => cursor.UInt16(),
        GgufValueType.Int16 => (short)cursor.UInt16(),
        GgufValueType.UInt32 => cursor.UInt32(),
        GgufValueType.Int32 => (int)cursor.UInt32(),
        GgufValueType.Float32 => BitConverter.UInt32BitsToSingle(cursor.UInt32()),
        GgufValueType.Bool => cursor.Byte() != 0,
        GgufValueType.String => cursor.TextUpTo(MaxKeptText) ?? "",
        GgufValueType.UInt64 => cursor.UInt64(),
        GgufValueType.Int64 => (long)cursor.UInt64(),
        GgufValueType.Float64 => BitConverter.UInt64BitsToDouble(cursor.UInt64()),
        _ => ReadArray(cursor, key, depth),
    };

    private static GgufArray ReadArray(GgufCursor cursor, string key, int depth)
    {
        if (depth == MaxDepth)
        {
            throw cursor.Error($"metadata '{key}' is a list nested deeper than {MaxDepth}");
        }

        var type = Type(cursor, key);
        var count = cursor.Count($"the length of metadata '{key}'", MaxElements);
        var width = Width(type);
        if (type == GgufValueType.String)
        {
            for (var i = 0; i < count; i++)
            {
                cursor.SkipText();
            }
        }
        else if (type == GgufValueType.Array)
        {
            for (var i = 0; i < count; i++)
            {
                ReadArray(cursor, key, depth + 1);
            }
        }
        else if (count <= MaxKeptNumbers && type is GgufValueType.UInt32 or GgufValueType.Int32)
        {
            var numbers = ImmutableArray.CreateBuilder<long>(count);
            for (var i = 0; i < count; i++)
            {
                numbers.Add(type == GgufValueType.Int32 ? (int)cursor.UInt32() : cursor.UInt32());
            }

            return new GgufArray(count, numbers.MoveToImmutable());
        }
        else
        {
            cursor.Skip((long)count * width);
        }

        return new GgufArray(count, []);
    }

    private static int Width(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 4,
    };
}
