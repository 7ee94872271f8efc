using System.Globalization;
using Loom.Core.Storage;

namespace Loom.Harness.Errors;

/// <summary>
/// The files of dead letters of one system: for each component <c>COMPONENT.jsonl</c>, then <c>COMPONENT.2.jsonl</c> and so on. Whoever writes or removes holds
/// the folder's lock meanwhile, so a purge from another program loses nothing that is being written.
/// </summary>
internal sealed class DeadLetterFiles(string folder, TimeProvider time)
{
    /// <summary>Size at which the next file is begun.</summary>
    public const long LargestFile = 64 << 20;

    /// <summary>Files of one component; when they are full, nothing more is taken.</summary>
    public const int MostFiles = 10;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan s_lockWait = TimeSpan.FromSeconds(5);

    public string Folder => folder;

    /// <summary>Largest size of a file; smaller in tests.</summary>
    internal long FileLimit { get; init; } = LargestFile;

    /// <summary>Components that have letters, or had.</summary>
    public IReadOnlyList<string> Components() => Directory.Exists(folder)
        ? [.. Directory.EnumerateFiles(folder, "*.jsonl").Select(f => Path.GetFileName(f).Split('.')[0]).Where(IsName).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Files of a component, oldest first.</summary>
    public IReadOnlyList<string> Of(string component) => Directory.Exists(folder)
        ? [.. Enumerable.Range(1, MostFiles).Select(n => Name(component, n)).Where(File.Exists)]
        : [];

    /// <summary>Appends whole lines. They survive the end of this process; <see cref="FlushAsync"/> makes them survive a power cut.</summary>
    /// <exception cref="IOException">There is no room, or the folder cannot be written; nothing of it is kept.</exception>
    public async ValueTask AppendAsync(string component, ReadOnlyMemory<byte> lines, CancellationToken ct)
    {
        using var held = await LockAsync(ct).ConfigureAwait(false);
        var path = Active(component, lines.Length);
        var options = new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            UnixCreateMode = OwnerOnly,
            BufferSize = 0,
        };
        using var file = Opened(() => new FileStream(path, options));
        var length = file.Length;
        try
        {
            if (length > 0 && !EndsLine(file, length))
            {
                RandomAccess.Write(file.SafeFileHandle, "\n"u8, length); // a line cut off by a power cut stays a line of its own
                RandomAccess.Write(file.SafeFileHandle, lines.Span, length + 1);
                return;
            }

            RandomAccess.Write(file.SafeFileHandle, lines.Span, length);
        }
        catch
        {
            RandomAccess.SetLength(file.SafeFileHandle, length);
            throw;
        }
    }

    /// <summary>Brings what was appended to the disk.</summary>
    /// <exception cref="IOException">The disk refuses, or a file may not be opened.</exception>
    public async ValueTask FlushAsync(IEnumerable<string> components, CancellationToken ct)
    {
        using var held = await LockAsync(ct).ConfigureAwait(false);
        foreach (var path in components.Select(c => Of(c).LastOrDefault()).OfType<string>())
        {
            using var file = Opened(() => File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
            RandomAccess.FlushToDisk(file);
        }

        DurableFile.FlushFolder(folder);
    }

    /// <summary>Removes the files of some components while nobody writes.</summary>
    /// <param name="components">Which.</param>
    /// <param name="unless">Asked under the lock; a component it is true for keeps its files.</param>
    /// <param name="ct">Gives up.</param>
    public async ValueTask RemoveAsync(IReadOnlyList<string> components, Func<string, bool> unless, CancellationToken ct)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        using var held = await LockAsync(ct).ConfigureAwait(false);
        foreach (var path in components.Where(c => !unless(c)).SelectMany(Of))
        {
            File.Delete(path);
        }

        DurableFile.FlushFolder(folder);
    }

    private async ValueTask<FileLock> LockAsync(CancellationToken ct)
    {
        try
        {
            PrivateFolder.Ensure(folder);
            return await FileLock.AcquireAsync(Path.Combine(folder, ".lock"), time, s_lockWait, ct).ConfigureAwait(false)
                ?? throw new IOException($"dead letters in {folder} are held by another program for longer than {s_lockWait.TotalSeconds:0} s");
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"dead letters cannot be written: {e.Message}", e);
        }
    }

    // A folder in the file's place, or a file of somebody else: as much a trouble of the disk as a full one.
    private static T Opened<T>(Func<T> open)
    {
        try
        {
            return open();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"dead letters cannot be written: {e.Message}", e);
        }
    }

    // The name becomes part of a path: one that is no name could lead out of the folder.
    private static bool IsName(string component) => component.Length > 0 && component[0] != '.' && component.AsSpan().IndexOfAny('/', '\\', '\0') < 0;

    private string Name(string component, int number) => !IsName(component)
        ? throw new ArgumentException($"\"{component}\" is no name of a component", nameof(component))
        : Path.Combine(folder, number == 1 ? $"{component}.jsonl" : string.Create(CultureInfo.InvariantCulture, $"{component}.{number}.jsonl"));

    // The last file while it has room, else the next one.
    private string Active(string component, int bytes)
    {
        var last = Enumerable.Range(1, MostFiles).Reverse().FirstOrDefault(n => File.Exists(Name(component, n)), 1);
        if (new FileInfo(Name(component, last)) is not { Exists: true } file || file.Length == 0 || file.Length + bytes <= FileLimit)
        {
            return Name(component, last);
        }

        return last < MostFiles
            ? Name(component, last + 1)
            : throw new IOException($"the {MostFiles} files of dead letters of {component} are full ({FileLimit >> 20} MiB each); "
                + $"loom harness dead-letters retry or purge makes room, and {component} waits meanwhile");
    }

    private static bool EndsLine(FileStream file, long length)
    {
        Span<byte> last = stackalloc byte[1];
        return RandomAccess.Read(file.SafeFileHandle, last, length - 1) == 1 && last[0] == '\n';
    }
}
