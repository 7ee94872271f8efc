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

    /// <summary>Deletes a file, if it is still the one that was seen.</summary>
    /// <returns>False = it is gone, or somebody has put another one in its place, which stays.</returns>
    bool Delete(string name, FileFacts seen);

    /// <summary>Moves a file, if it is still the one that was seen, into <c>quarantine/</c> and says why beside it.</summary>
    /// <returns>False = it is gone, or somebody has put another one in its place, which stays.</returns>
    bool Quarantine(string name, FileFacts seen, string reason);
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

    public bool Delete(string name, FileFacts seen)
    {
        if (Claim(name, seen) is not { } claimed)
        {
            return false;
        }

        File.Delete(claimed);
        return true;
    }

    public bool Quarantine(string name, FileFacts seen, string reason)
    {
        var folder = Path.Combine(path, QuarantineName);
        Directory.CreateDirectory(folder, Private);
        if (Claim(name, seen) is not { } claimed)
        {
            return false;
        }

        File.Move(claimed, Path.Combine(folder, name), overwrite: true);
        DurableFile.Write(Path.Combine(folder, name + ".reason.txt"), System.Text.Encoding.UTF8.GetBytes($"{name}: {reason}\n"));
        return true;
    }

    // Who writes a file by renaming it into its place may do so at any moment: the name alone says nothing. So the file is taken away from its name first, to one
    // that nobody reads, then looked at.
    private string? Claim(string name, FileFacts seen)
    {
        var (here, aside) = (Path.Combine(path, name), Path.Combine(path, $".{name}.judged"));
        try
        {
            File.Move(here, aside, overwrite: true);
        }
        catch (FileNotFoundException)
        {
            return null;
        }

        if (FileFacts.Of(aside) is { } facts && facts with { ChangedNs = seen.ChangedNs } == seen) // the move itself is a change
        {
            return aside;
        }

        try
        {
            File.Move(aside, here, overwrite: false);
        }
        catch (IOException) when (File.Exists(here))
        {
            File.Delete(aside); // a still newer one has come: it is the one that counts
        }

        return null;
    }

    /// <summary>Checksum that tells contents apart.</summary>
    public static string Checksum(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
