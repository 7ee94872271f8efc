using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Harness.Checkpoints;

/// <summary>
/// What a checkpoint consists of; written last, so that a checkpoint exists once its manifest does. Its bytes are one head line with the SHA-256 and the
/// length of the JSON that follows.
/// </summary>
internal sealed record CheckpointManifest
{
    /// <summary>The only form there is.</summary>
    public const int CurrentFormat = 1;

    private const string Magic = "loom-checkpoint";
    private const int LongestHead = 128;

    public int Format { get; set; } = CurrentFormat;

    public required string System { get; init; }

    /// <summary>Repeated here, so that a manifest copied to another place is told from the real one.</summary>
    public required string Id { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required string GraphHash { get; init; }

    public required IReadOnlyList<ManifestPart> Parts { get; init; }

    [JsonIgnore]
    public long Bytes => Parts.Sum(p => p.Bytes);

    /// <summary>Its bytes, sealed.</summary>
    public byte[] Seal()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(this, CheckpointJson.Default.CheckpointManifest);
        var head = Encoding.ASCII.GetBytes(string.Create(
            global::System.Globalization.CultureInfo.InvariantCulture, $"{Magic} {CurrentFormat} {Convert.ToHexStringLower(SHA256.HashData(json))} {json.Length}\n"));
        return [.. head, .. json];
    }

    /// <summary>How many bytes the sealed manifest has that begins with <paramref name="head"/>; 0 when this is no manifest.</summary>
    public static long SealedLength(ReadOnlySpan<byte> head)
    {
        var end = head[..Math.Min(head.Length, LongestHead)].IndexOf((byte)'\n');
        return end > 0 && Words(head[..end]) is [_, _, _, var length] && int.TryParse(length, out var bytes) && bytes > 0 ? end + 1L + bytes : 0;
    }

    /// <summary>Reads sealed bytes back.</summary>
    /// <exception cref="CheckpointDamagedException">They are not what <see cref="Seal"/> made, or belong elsewhere.</exception>
    public static CheckpointManifest Unseal(ReadOnlySpan<byte> bytes, string system, CheckpointId id)
    {
        var length = SealedLength(bytes);
        if (length == 0)
        {
            throw new CheckpointDamagedException("its manifest does not begin like one");
        }

        if (length != bytes.Length)
        {
            throw new CheckpointDamagedException($"its manifest has {bytes.Length} bytes where it says {length}");
        }

        var end = bytes.IndexOf((byte)'\n');
        var words = Words(bytes[..end]);
        var json = bytes[(end + 1)..];
        if (words[0] != Magic || words[1] != "1")
        {
            throw new CheckpointDamagedException($"its manifest is of form '{words[0]} {words[1]}' and this program reads '{Magic} {CurrentFormat}'");
        }

        if (words[2] != Convert.ToHexStringLower(SHA256.HashData(json)))
        {
            throw new CheckpointDamagedException("its manifest does not have the SHA-256 it was written with");
        }

        CheckpointManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize(json, CheckpointJson.Default.CheckpointManifest);
        }
        catch (JsonException e)
        {
            throw new CheckpointDamagedException($"its manifest cannot be read: {e.Message}");
        }

        return manifest is not null && manifest.System == system && manifest.Id == id.ToString()
            ? manifest
            : throw new CheckpointDamagedException($"its manifest belongs to checkpoint {manifest?.Id} of system {manifest?.System}");
    }

    private static string[] Words(ReadOnlySpan<byte> head) => Encoding.Latin1.GetString(head).Split(' ');
}

/// <summary>One component in a manifest.</summary>
internal sealed record ManifestPart
{
    public required string Component { get; init; }

    public required int ContractVersion { get; init; }

    public required int StateVersion { get; init; }

    public required IReadOnlyDictionary<string, long> Offsets { get; init; }

    /// <summary>Whether there is state at all; what follows describes it.</summary>
    public bool HasState { get; init; }

    public long Bytes { get; init; }

    /// <summary>SHA-256 over the whole state, hex.</summary>
    public string? Sha256 { get; init; }

    /// <summary>SHA-256 of each chunk, hex, in order.</summary>
    public IReadOnlyList<string> Chunks { get; init => field = value ?? []; } = [];
}

/// <summary>How a lineage began.</summary>
internal sealed record LineageRecord
{
    public required int Lineage { get; init; }

    public required DateTimeOffset Begun { get; init; }

    public required LineageStart Start { get; init; }

    /// <summary>The checkpoint it goes on from, for <see cref="LineageStart.Resume"/>.</summary>
    public string? From { get; init; }

    /// <summary>Its bytes: the SHA-256 of the JSON in hex, then the JSON.</summary>
    public byte[] Seal()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(this, CheckpointJson.Default.LineageRecord);
        return [.. Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(json))), .. json];
    }

    /// <summary>Reads what <see cref="Seal"/> made; null when it is anything else.</summary>
    public static LineageRecord? Unseal(ReadOnlySpan<byte> bytes)
    {
        const int Digits = 2 * SHA256.HashSizeInBytes;
        return bytes.Length > Digits && Encoding.Latin1.GetString(bytes[..Digits]) == Convert.ToHexStringLower(SHA256.HashData(bytes[Digits..]))
            ? JsonSerializer.Deserialize(bytes[Digits..], CheckpointJson.Default.LineageRecord)
            : null;
    }
}

/// <summary>Why a lineage was begun; decides which earlier checkpoints a run may still fall back on.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LineageStart>))]
internal enum LineageStart
{
    /// <summary>The first of its system.</summary>
    First,

    /// <summary>By <c>--fresh</c>: nothing before it counts.</summary>
    Fresh,

    /// <summary>The store came back after a run had begun in memory: what was there before is older, and still true.</summary>
    Fallback,

    /// <summary>By <c>resume --checkpoint</c>: it and what came before it count, what came after it does not.</summary>
    Resume,
}

/// <summary>Why a checkpoint was set aside.</summary>
internal sealed record QuarantineRecord(DateTimeOffset Time, bool Unfinished, string Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CheckpointManifest))]
[JsonSerializable(typeof(LineageRecord))]
[JsonSerializable(typeof(QuarantineRecord))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
