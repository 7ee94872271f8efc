using System.Security.Cryptography;
using Loom.Core.Storage;
using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What tells a followed file from others, whatever its name becomes: its number on the disk and a digest of its first bytes.</summary>
/// <param name="Partition">Its name in event ids and offsets.</param>
/// <param name="Path">Where it was seen last.</param>
/// <param name="Device">Its disk.</param>
/// <param name="Inode">Its number there.</param>
/// <param name="HeadBytes">How many first bytes were digested, at most 1,024.</param>
/// <param name="Head">The first 16 hex digits of their SHA-256.</param>
/// <param name="From">Where reading of it began.</param>
internal sealed record Fingerprint(string Partition, string Path, ulong Device, ulong Inode, int HeadBytes, string Head, long From)
{
    /// <summary>Enough first bytes to know a file by them alone, as after a copy.</summary>
    public const int Telling = 256;

    /// <summary>Most bytes that are digested.</summary>
    public const int Longest = 1024;

    /// <summary>Whether an open file is this one: the same first bytes, and the same number on the disk or enough of them.</summary>
    public bool Fits(FileStat stat, ReadOnlySpan<byte> head) =>
        head.Length >= HeadBytes && string.Equals(Digest(head[..HeadBytes]), Head, StringComparison.Ordinal)
        && (IsSameNode(stat) || HeadBytes >= Telling);

    /// <summary>Whether it has this number on the disk.</summary>
    public bool IsSameNode(FileStat stat) => stat.Device == Device && stat.Inode == Inode;

    /// <summary>First 16 hex digits of the SHA-256.</summary>
    public static string Digest(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8));

    /// <summary>The first bytes of an open file.</summary>
    public static byte[] HeadOf(SafeFileHandle file)
    {
        var head = new byte[Longest];
        var read = 0;
        while (read < head.Length && RandomAccess.Read(file, head.AsSpan(read), read) is var more and > 0)
        {
            read += more;
        }

        return head[..read];
    }

    /// <summary>What the kernel says of an open file.</summary>
    public static FileStat? StatOf(SafeFileHandle file) => FileStat.Of($"/proc/self/fd/{file.DangerousGetHandle()}", follow: true);
}

/// <summary>A file being read.</summary>
internal sealed class TailedFile(string name, Fingerprint fingerprint, LineReader lines) : IDisposable
{
    /// <summary>How people name it.</summary>
    public string Name { get; } = name;

    /// <summary>Its identity; grows with its head.</summary>
    public Fingerprint Fingerprint { get; set; } = fingerprint;

    /// <summary>Its lines from where reading stands.</summary>
    public LineReader Lines { get; } = lines;

    /// <summary>Whether nothing more will be written to it under its name: it was renamed, removed or replaced.</summary>
    public bool IsRotated { get; set; }

    /// <summary>Looks in a row that found it rotated and without growth.</summary>
    public int QuietLooks { get; set; }

    public void Dispose() => Lines.Dispose();
}
