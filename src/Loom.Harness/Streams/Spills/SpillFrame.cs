using System.Buffers.Binary;
using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Streams.Spills;

/// <summary>
/// One frame: <c>LSPF</c>, its length and the number of its events, CRC32C over all that follows the checksum, then for each event the time it entered (8 bytes),
/// its length (4) and its JSON. Little-endian. Pure.
/// </summary>
internal static class SpillFrame
{
    public const int HeaderLength = 16;

    private const int EventHeaderLength = 12;
    private const uint Magic = 0x4650534C;

    /// <summary>Bytes of a frame of these events.</summary>
    public static int LengthOf(IEnumerable<byte[]> events) => HeaderLength + events.Sum(e => e.Length + EventHeaderLength);

    public static byte[] Write(IReadOnlyCollection<(long At, byte[] Json)> events)
    {
        var frame = new byte[LengthOf(events.Select(e => e.Json))];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), frame.Length);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(8), events.Count);
        var at = HeaderLength;
        foreach (var (entered, json) in events)
        {
            BinaryPrimitives.WriteInt64LittleEndian(frame.AsSpan(at), entered);
            BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(at + 8), json.Length);
            json.CopyTo(frame, at + EventHeaderLength);
            at += EventHeaderLength + json.Length;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12), DeadLetterLine.Crc(frame.AsSpan(HeaderLength)));
        return frame;
    }

    /// <summary>The events of a frame; null with the reason when it is not what was written.</summary>
    public static IReadOnlyList<Held<T>>? Read<T>(ReadOnlyMemory<byte> frame, int count, out string reason)
    {
        var bytes = frame.Span;
        reason = bytes.Length < HeaderLength || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic ? "it is no frame"
            : BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]) != bytes.Length ? "its length is wrong"
            : BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) != count ? "its number of events is wrong"
            : BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]) != DeadLetterLine.Crc(bytes[HeaderLength..]) ? "its checksum is wrong"
            : "";
        if (reason.Length > 0)
        {
            return null;
        }

        var events = new List<Held<T>>(count);
        for (var at = HeaderLength; at < bytes.Length;)
        {
            var entered = BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);
            var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[(at + 8)..]);
            events.Add(new Held<T>(EventCodec<T>.Read(frame.Slice(at + EventHeaderLength, length)), entered));
            at += EventHeaderLength + length;
        }

        return events;
    }
}

/// <summary>A frame that could not be read back: its events are lost to this run, and somebody must know.</summary>
/// <param name="Number">Which frame of the stream, from 1.</param>
/// <param name="Events">Events it held.</param>
/// <param name="Reason">What is wrong with it.</param>
/// <param name="KeptAt">Where its bytes are kept; null where that was not possible.</param>
internal sealed record SpillDamage(int Number, int Events, string Reason, string? KeptAt)
{
    /// <summary>The report, as a dead letter of the component that would have read it.</summary>
    public ItemFailure AsFailure(Architecture.BindingPlan plan, DateTimeOffset now)
    {
        var error = new ItemException("spill_damaged", $"frame {Number} of stream \"{plan.Name}\" with {Events} events cannot be read back from disk: {Reason}; {(KeptAt is null ? "it could not be kept" : $"it is kept at {KeptAt}")}");
        return new ItemFailure(plan.ToComponent, plan.ToPort, EventId.Root($"spill:{plan.Name}", Number), null, now, PayloadJson.Of(KeptAt), error, 1, false);
    }
}
