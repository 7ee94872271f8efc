using System.Buffers.Binary;
using System.Text;

namespace Loom.Node.Gguf;

/// <summary>Writes a GGUF 3 file: metadata and tensors in the order they were added.</summary>
internal sealed class GgufWriter : IDisposable
{
    private const int Alignment = 32;
    private const int Q8BlockLength = 32;

    private readonly MemoryStream _metadata = new();
    private readonly List<Tensor> _tensors = [];
    private int _entries;

    public void Add(string key, string value)
    {
        Entry(key, GgufValueType.String);
        Text(_metadata, value);
    }

    public void Add(string key, uint value)
    {
        Entry(key, GgufValueType.UInt32);
        Number(_metadata, value);
    }

    public void Add(string key, float value)
    {
        Entry(key, GgufValueType.Float32);
        Number(_metadata, BitConverter.SingleToUInt32Bits(value));
    }

    public void Add(string key, bool value)
    {
        Entry(key, GgufValueType.Bool);
        _metadata.WriteByte(value ? (byte)1 : (byte)0);
    }

    public void Add(string key, IReadOnlyCollection<string> values)
    {
        Entry(key, GgufValueType.Array);
        Number(_metadata, (uint)GgufValueType.String);
        Number(_metadata, (ulong)values.Count);
        foreach (var value in values)
        {
            Text(_metadata, value);
        }
    }

    public void Add(string key, IReadOnlyCollection<int> values)
    {
        Entry(key, GgufValueType.Array);
        Number(_metadata, (uint)GgufValueType.Int32);
        Number(_metadata, (ulong)values.Count);
        foreach (var value in values)
        {
            Number(_metadata, (uint)value);
        }
    }

    public void AddF32(string name, float[] values)
    {
        var data = new byte[values.Length * sizeof(float)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(data.AsSpan(i * sizeof(float)), values[i]);
        }

        _tensors.Add(new Tensor(name, [values.Length], 0, data));
    }

    /// <summary>A Q8_0 tensor whose blocks all have one scale.</summary>
    /// <param name="name">Tensor name.</param>
    /// <param name="shape">Row length first; a multiple of 32.</param>
    /// <param name="scale">Bits of the half-precision scale.</param>
    /// <param name="values">Row by row.</param>
    public void AddQ8(string name, int[] shape, ushort scale, ReadOnlySpan<sbyte> values)
    {
        var blocks = values.Length / Q8BlockLength;
        var data = new byte[blocks * (Q8BlockLength + 2)];
        for (var block = 0; block < blocks; block++)
        {
            var at = data.AsSpan(block * (Q8BlockLength + 2));
            BinaryPrimitives.WriteUInt16LittleEndian(at, scale);
            for (var i = 0; i < Q8BlockLength; i++)
            {
                at[i + 2] = (byte)values[(block * Q8BlockLength) + i];
            }
        }

        _tensors.Add(new Tensor(name, shape, 8, data));
    }

    public void Write(Stream output)
    {
        using var head = new MemoryStream();
        head.Write("GGUF"u8);
        Number(head, 3u);
        Number(head, (ulong)_tensors.Count);
        Number(head, (ulong)_entries);
        _metadata.WriteTo(head);
        var offset = 0L;
        foreach (var tensor in _tensors)
        {
            Text(head, tensor.Name);
            Number(head, (uint)tensor.Shape.Length);
            foreach (var length in tensor.Shape)
            {
                Number(head, (ulong)length);
            }

            Number(head, tensor.Type);
            Number(head, (ulong)offset);
            offset += Padded(tensor.Data.Length);
        }

        head.WriteTo(output);
        Pad(output, head.Length);
        foreach (var tensor in _tensors)
        {
            output.Write(tensor.Data);
            Pad(output, tensor.Data.Length);
        }
    }

    public void Dispose() => _metadata.Dispose();

    private static long Padded(long length) => (length + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream output, long length)
    {
        ReadOnlySpan<byte> zeros = stackalloc byte[Alignment];
        output.Write(zeros[..(int)(Padded(length) - length)]);
    }

    private static void Number(Stream output, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        output.Write(bytes);
    }

    private static void Number(Stream output, ulong value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        output.Write(bytes);
    }

    private static void Text(Stream output, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        Number(output, (ulong)bytes.Length);
        output.Write(bytes);
    }

    private void Entry(string key, GgufValueType type)
    {
        _entries++;
        Text(_metadata, key);
        Number(_metadata, (uint)type);
    }

    private sealed record Tensor(string Name, int[] Shape, uint Type, byte[] Data);
}
