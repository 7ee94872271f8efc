using System.Buffers.Binary;
using System.Text;

namespace Loom.Testing.Telemetry;

/// <summary>Reads the fields of one protobuf message; enough to look into what an exporter sends.</summary>
public readonly ref struct ProtoFields(ReadOnlySpan<byte> message)
{
    private readonly ReadOnlySpan<byte> _message = message;

    /// <summary>All values of a length-delimited field.</summary>
    public List<byte[]> Bytes(int number)
    {
        var found = new List<byte[]>();
        var rest = _message;
        while (!rest.IsEmpty)
        {
            var tag = Varint(ref rest);
            var value = Value(ref rest, (int)(tag & 7));
            if ((int)(tag >> 3) == number && (tag & 7) == 2)
            {
                found.Add(value);
            }
        }

        return found;
    }

    /// <summary>The first value of a text field; empty when there is none.</summary>
    public string Text(int number) => Bytes(number) is [var first, ..] ? Encoding.UTF8.GetString(first) : "";

    /// <summary>The first value of a bytes field as hex; empty when there is none.</summary>
    public string Hex(int number) => Bytes(number) is [var first, ..] ? Convert.ToHexStringLower(first) : "";

    private static byte[] Value(ref ReadOnlySpan<byte> rest, int wire)
    {
        switch (wire)
        {
            case 0:
                var number = Varint(ref rest);
                var eight = new byte[8];
                BinaryPrimitives.WriteUInt64LittleEndian(eight, number);
                return eight;
            case 1:
                return Take(ref rest, 8);
            case 5:
                return Take(ref rest, 4);
            case 2:
                return Take(ref rest, (int)Varint(ref rest));
            default:
                throw new InvalidDataException($"wire type {wire} is none of OTLP's");
        }
    }

    private static byte[] Take(ref ReadOnlySpan<byte> rest, int count)
    {
        var taken = rest[..count].ToArray();
        rest = rest[count..];
        return taken;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> rest)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = rest[0];
            rest = rest[1..];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }
}
