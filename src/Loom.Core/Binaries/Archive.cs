using System.Formats.Tar;
using System.IO.Compression;

namespace Loom.Core.Binaries;

/// <summary>Unpacks what a release gives: <c>.tar.gz</c>, <c>.zip</c>, or the bare program, told apart by content, never by name.</summary>
public static class Archive
{
    private const long LargestEntry = 2L << 30;
    private const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = Plain | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>
    /// Takes one program out of <paramref name="file"/> and writes it to <paramref name="target"/>, which must not exist, with mode 0755, flushed. In an archive
    /// it is the one regular file that has one of <paramref name="names"/>, whatever folder it lies in; links are refused wherever they stand. A bare
    /// program is moved.
    /// </summary>
    /// <exception cref="InvalidDataException">A path climbs out, an entry is a link or too large, or there is not exactly one such program.</exception>
    public static void TakeProgram(string file, string target, params ReadOnlySpan<string> names)
    {
        var found = 0;
        switch (Magic(file))
        {
            case [0x1f, 0x8b, ..]:
                using (var stream = new GZipStream(File.OpenRead(file), CompressionMode.Decompress))
                using (var tar = new TarReader(stream))
                {
                    while (tar.GetNextEntry() is { } entry)
                    {
                        if (entry.EntryType is TarEntryType.Directory or TarEntryType.GlobalExtendedAttributes)
                        {
                            continue;
                        }

                        _ = Parts(entry.Name);
                        found += Take(entry.Name, IsRegular(entry), entry.DataStream ?? Stream.Null, entry.Length, target, names, found);
                    }
                }

                break;
            case [(byte)'P', (byte)'K', 3, 4]:
                using (var zip = ZipFile.OpenRead(file))
                {
                    foreach (var entry in zip.Entries.Where(e => !e.FullName.EndsWith('/')))
                    {
                        _ = Parts(entry.FullName);
                        using var data = entry.Open();
                        found += Take(entry.FullName, !IsLink(entry), data, entry.Length, target, names, found);
                    }
                }

                break;
            default:
                File.Move(file, target);
                File.SetUnixFileMode(target, Executable);
                found = 1;
                break;
        }

        if (found != 1)
        {
            throw new InvalidDataException($"there {(found == 0 ? "is no file" : $"are {found} files")} named '{names[0]}' in it");
        }
    }

    /// <summary>
    /// Unpacks <paramref name="file"/> into the empty <paramref name="folder"/> and returns the program <paramref name="name"/> in it. A bare program is
    /// moved there under that name. Links between files of one folder are kept (shared libraries come so); everything else that is no regular file is refused.
    /// </summary>
    /// <exception cref="InvalidDataException">A path climbs out, an entry is too large, or there is not exactly one such program.</exception>
    public static string Unpack(string file, string folder, string name)
    {
        switch (Magic(file))
        {
            case [0x1f, 0x8b, ..]:
                UnpackTar(file, folder);
                break;
            case [(byte)'P', (byte)'K', 3, 4]:
                UnpackZip(file, folder);
                break;
            default:
                File.Move(file, Path.Combine(folder, name));
                break;
        }

        var found = Directory.GetFiles(folder, name, SearchOption.AllDirectories);
        if (found.Length != 1)
        {
            throw new InvalidDataException($"there {(found.Length == 0 ? "is no file" : $"are {found.Length} files")} named '{name}' in it");
        }

        File.SetUnixFileMode(found[0], Executable);
        return found[0];
    }

    private static int Take(string entry, bool regular, Stream data, long length, string target, ReadOnlySpan<string> names, int found)
    {
        if (!regular)
        {
            throw new InvalidDataException($"entry '{entry}' is a link or no file, which is refused");
        }

        if (!names.Contains(entry[(entry.LastIndexOf('/') + 1)..]))
        {
            return 0;
        }

        if (found == 0)
        {
            Write(target, data, length, executable: true);
        }

        return 1;
    }

    private static void UnpackTar(string file, string folder)
    {
        using var stream = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
        using var tar = new TarReader(stream);
        while (tar.GetNextEntry() is { } entry)
        {
            switch (entry.EntryType)
            {
                case TarEntryType.Directory or TarEntryType.GlobalExtendedAttributes:
                    break;
                case var _ when IsRegular(entry):
                    Write(Target(folder, entry.Name), entry.DataStream ?? Stream.Null, entry.Length, (entry.Mode & UnixFileMode.UserExecute) != 0);
                    break;
                case TarEntryType.SymbolicLink when entry.LinkName is { Length: > 0 } link && link is not ("." or "..")
                    && !link.Contains('/', StringComparison.Ordinal):
                    File.CreateSymbolicLink(Target(folder, entry.Name), link);
                    break;
                default:
                    throw new InvalidDataException($"entry '{entry.Name}' is of type {entry.EntryType}, which is refused");
            }
        }
    }

    private static void UnpackZip(string file, string folder)
    {
        using var zip = ZipFile.OpenRead(file);
        foreach (var entry in zip.Entries)
        {
            if (entry.FullName.EndsWith('/'))
            {
                continue;
            }

            using var data = entry.Open();
            if (IsLink(entry))
            {
                using var reader = new StreamReader(data);
                var link = reader.ReadToEnd();
                if (link.Length is 0 or > 255 || link is "." or ".." || link.Contains('/', StringComparison.Ordinal))
                {
                    throw new InvalidDataException($"entry '{entry.FullName}' is a link to '{link}', which is refused");
                }

                File.CreateSymbolicLink(Target(folder, entry.FullName), link);
                continue;
            }

            Write(Target(folder, entry.FullName), data, entry.Length, (entry.ExternalAttributes >> 16 & 0x40) != 0);
        }
    }

    private static bool IsRegular(TarEntry entry) =>
        entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile;

    private static bool IsLink(ZipArchiveEntry entry)
    {
        const int TypeMask = 0xF000;
        const int Link = 0xA000;
        return (entry.ExternalAttributes >> 16 & TypeMask) == Link;
    }

    /// <summary>The parts of an entry's path, none of which climbs out.</summary>
    private static string[] Parts(string name)
    {
        var parts = name.Split('/').Where(p => p is not ("" or ".")).ToArray();
        return name.StartsWith('/') || name.Contains('\\', StringComparison.Ordinal) || name.Contains('\0', StringComparison.Ordinal) || parts.Length == 0
            || parts.Contains("..", StringComparer.Ordinal)
            ? throw new InvalidDataException($"entry '{name}' has a path that is refused")
            : parts;
    }

    // No entry may climb out, by its own path or through a link unpacked before it.
    private static string Target(string folder, string name)
    {
        var parts = Parts(name);
        var at = folder;
        foreach (var part in parts[..^1])
        {
            at = Path.Combine(at, part);
            if (!Directory.Exists(at))
            {
                Directory.CreateDirectory(at);
            }
            else if (File.ResolveLinkTarget(at, returnFinalTarget: false) is not null)
            {
                throw new InvalidDataException($"entry '{name}' goes through a link, which is refused");
            }
        }

        return Path.Combine(at, parts[^1]);
    }

    private static void Write(string path, Stream data, long length, bool executable)
    {
        if (length > LargestEntry)
        {
            throw new InvalidDataException($"'{Path.GetFileName(path)}' has {length} bytes, {LargestEntry} is the most");
        }

        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = executable ? Executable : Plain };
        using var file = new FileStream(path, options);
        var buffer = new byte[1 << 16];
        var written = 0L;
        for (int read; (read = data.Read(buffer)) > 0;)
        {
            written += read;
            if (written > LargestEntry)
            {
                throw new InvalidDataException($"'{Path.GetFileName(path)}' is larger than {LargestEntry} bytes"); // the head lied: a bomb
            }

            file.Write(buffer.AsSpan(0, read));
        }

        file.Flush(flushToDisk: true);
    }

    private static byte[] Magic(string file)
    {
        using var stream = File.OpenRead(file);
        var magic = new byte[4];
        return magic[..stream.ReadAtLeast(magic, 4, throwOnEndOfStream: false)];
    }
}
