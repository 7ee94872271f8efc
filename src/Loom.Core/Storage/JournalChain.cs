using System.Buffers;
using System.Security.Cryptography;

namespace Loom.Core.Storage;

/// <summary>
/// The form of a journal: one record a line, <c>HASH PAYLOAD</c>, where the hash is the SHA-256 of the hash before it and the payload. A changed, missing or
/// moved record is seen by every reader. The first record is the header. Holds the end of the chain; not safe for two threads.
/// </summary>
internal sealed class JournalChain
{
    /// <summary>Bytes a line has beside its payload.</summary>
    public const int Overhead = HashDigits + 2;

    private const int HashDigits = 2 * SHA256.HashSizeInBytes;

    private readonly byte[] _last = new byte[SHA256.HashSizeInBytes];

    /// <summary>Hash of the last record, 64 hex digits; zeros before the first.</summary>
    public string Last => Convert.ToHexStringLower(_last);

    /// <summary>What can be said of one line.</summary>
    internal enum Verdict
    {
        /// <summary>It continues the chain.</summary>
        Good,

        /// <summary>It has the form of a record, but does not continue the chain.</summary>
        Foreign,

        /// <summary>It is no record.</summary>
        Shapeless,
    }

    /// <summary>A copy that goes its own way.</summary>
    public JournalChain Fork()
    {
        var copy = new JournalChain();
        _last.CopyTo(copy._last, 0);
        return copy;
    }

    /// <summary>Appends a record to the chain and its line to <paramref name="to"/>.</summary>
    /// <exception cref="ArgumentException">The payload holds a line feed or a NUL.</exception>
    public void Append(ReadOnlySpan<byte> payload, IBufferWriter<byte> to)
    {
        Check(payload);
        Next(_last, payload, _last);
        var line = to.GetSpan(HashDigits + 1);
        Convert.TryToHexStringLower(_last, line, out _);
        line[HashDigits] = (byte)' ';
        to.Advance(HashDigits + 1);
        to.Write(payload);
        to.Write("\n"u8);
    }

    /// <summary>Refuses what cannot be a record.</summary>
    /// <exception cref="ArgumentException">The payload holds a line feed or a NUL.</exception>
    public static void Check(ReadOnlySpan<byte> payload)
    {
        if (payload.ContainsAny((byte)'\n', (byte)0))
        {
            throw new ArgumentException("a journal record is one line without NUL", nameof(payload));
        }
    }

    /// <summary>Judges a line, without its line feed; a good one becomes the end of the chain.</summary>
    public Verdict Accept(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> payload)
    {
        Span<byte> stated = stackalloc byte[SHA256.HashSizeInBytes];
        if (!TryParse(line, stated, out payload))
        {
            return Verdict.Shapeless;
        }

        Span<byte> computed = stackalloc byte[SHA256.HashSizeInBytes];
        Next(_last, payload, computed);
        if (!stated.SequenceEqual(computed))
        {
            return Verdict.Foreign;
        }

        computed.CopyTo(_last);
        return Verdict.Good;
    }

    /// <summary>Goes on from what a line states, true or not.</summary>
    public bool TryFollow(ReadOnlySpan<byte> line) => TryParse(line, _last, out _);

    private static bool TryParse(ReadOnlySpan<byte> line, scoped Span<byte> hash, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        if (line.Length <= HashDigits || line[HashDigits] != ' ' || line.Contains((byte)0)
            || Convert.FromHexString(line[..HashDigits], hash, out _, out var written) != OperationStatus.Done || written != hash.Length)
        {
            return false;
        }

        payload = line[(HashDigits + 1)..];
        return true;
    }

    private static void Next(ReadOnlySpan<byte> last, ReadOnlySpan<byte> payload, Span<byte> into)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(last);
        hash.AppendData(payload);
        hash.GetHashAndReset(into);
    }
}
