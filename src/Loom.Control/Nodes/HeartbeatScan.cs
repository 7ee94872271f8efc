using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Loom.Core.Web;

namespace Loom.Control.Nodes;

/// <summary>
/// The head of a heartbeat and the digest of the rest, found without building anything of it: most beats of a large cluster say nothing new.
/// </summary>
/// <param name="Timestamp">By the node's clock.</param>
/// <param name="InstanceId">Start of the agent; null = not told.</param>
/// <param name="Seq">Number within the instance; null = not told.</param>
/// <param name="Digest">Of the content.</param>
internal readonly record struct HeartbeatScan(DateTimeOffset Timestamp, string? InstanceId, long? Seq, BeatDigest Digest)
{
    /// <summary>Reads the head of a body.</summary>
    /// <param name="utf8">The whole body.</param>
    /// <param name="instance">The instance that is expected; saves the making of a string where it is that.</param>
    /// <exception cref="ProblemException">It is no JSON object, or a field of the head is missing or of the wrong type.</exception>
    public static HeartbeatScan Of(ReadOnlySpan<byte> utf8, string? instance)
    {
        try
        {
            return Scan(utf8, instance);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ProblemException(Problem.Invalid("", $"the heartbeat cannot be read: {e.Message}"));
        }
    }

    private static HeartbeatScan Scan(ReadOnlySpan<byte> utf8, string? instance)
    {
        var json = new Utf8JsonReader(utf8);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
        {
            throw new ProblemException(Problem.Invalid("", "the heartbeat is no JSON object"));
        }

        DateTimeOffset? timestamp = null;
        var scan = default(HeartbeatScan);
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("timestamp"u8))
            {
                json.Read();
                timestamp = json.GetDateTimeOffset();
            }
            else if (json.ValueTextEquals("instance_id"u8))
            {
                json.Read();
                scan = scan with { InstanceId = json.TokenType == JsonTokenType.String && instance is not null && json.ValueTextEquals(instance) ? instance : json.GetString() };
            }
            else if (json.ValueTextEquals("seq"u8))
            {
                json.Read();
                scan = scan with { Seq = json.TokenType == JsonTokenType.Null ? null : json.GetInt64() };
            }
            else if (json.ValueTextEquals("pools"u8))
            {
                scan = scan with { Digest = scan.Digest with { Pools = DigestOf(utf8, ref json) } };
            }
            else if (json.ValueTextEquals("gpus"u8))
            {
                scan = scan with { Digest = scan.Digest with { Gpus = DigestOf(utf8, ref json) } };
            }
            else if (json.ValueTextEquals("draining"u8))
            {
                json.Read();
                scan = scan with { Digest = scan.Digest with { Draining = json.GetBoolean() } };
            }
            else
            {
                json.Skip();
            }
        }

        return timestamp is { } at
            ? scan with { Timestamp = at }
            : throw new ProblemException(Problem.Invalid("timestamp", "a heartbeat needs its time, RFC 3339"));
    }

    private static UInt128 DigestOf(ReadOnlySpan<byte> utf8, ref Utf8JsonReader json)
    {
        json.Read();
        var from = (int)json.TokenStartIndex;
        json.Skip();
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[from..(int)json.BytesConsumed], digest);
        return MemoryMarshal.Read<UInt128>(digest);
    }
}
