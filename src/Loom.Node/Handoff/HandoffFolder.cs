using System.Security.Cryptography;
using Loom.Core.Storage;

namespace Loom.Node.Handoff;

/// <summary>What the watcher does to the disk. The real one is <see cref="HandoffFolder"/>; tests bring one in memory.</summary>
public interface IHandoffFolder
{
    /// <summary>The files of the folder that may be handoffs, by name; makes the folder if it is missing.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be read.</exception>
    IReadOnlyList<(string Name, FileFacts Facts)> List();

    /// <summary>The content of a file; null when it is gone.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be read.</exception>
    byte[]? Read(string name);

    /// <summary>Deletes a file; nothing happens when it is gone.</summary>
    void Delete(string name);

    /// <summary>Moves a file into <c>quarantine/</c> and says why beside it.</summary>
    void Quarantine(string name, string reason);
}

/// <summary>A folder of handoff files on disk.</summary>
/// <param name="path">Absolute folder.</param>
public sealed class HandoffFolder(string path) : IHandoffFolder
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Folder of refused files.</summary>
    public const string QuarantineName = "quarantine";

    public IReadOnlyList<(string Name, FileFacts Facts)> List()
    {
        if (!Directory.Exists(path))
        {
            Directory.CreateDirectory(path, Private);
        }

        var found = new List<(string, FileFacts)>();
        foreach (var file in Directory.EnumerateFileSystemEntries(path, "*.json"))
        {
            var name = Path.GetFileName(file);
            if (FileFacts.Of(file) is { } facts && HandoffPolicy.IsHandoff(name, facts.Kind))
            {
                found.Add((name, facts));
            }
        }

        return found;
    }

    public byte[]? Read(string name)
    {
        try
        {
            using var file = new FileStream(Path.Combine(path, name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            var content = new byte[Math.Min(file.Length, HandoffPolicy.MostBytes + 1)];
            return content[..file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false)];
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    public void Delete(string name) => File.Delete(Path.Combine(path, name));

    public void Quarantine(string name, string reason)
    {
        var folder = Path.Combine(path, QuarantineName);
        Directory.CreateDirectory(folder, Private);
        File.Move(Path.Combine(path, name), Path.Combine(folder, name), overwrite: true);
        DurableFile.Write(Path.Combine(folder, name + ".reason.txt"), System.Text.Encoding.UTF8.GetBytes($"{name}: {reason}\n"));
    }

    /// <summary>Checksum that tells contents apart.</summary>
    public static string Checksum(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
