using System.Collections.Immutable;
using System.Globalization;
using Loom.Core.Storage;
using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>A program in the cache.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version, without <c>v</c>.</param>
/// <param name="Path">The executable; for a damaged one the file or folder that is damaged.</param>
/// <param name="Trouble">Why it must not be run; null = every checksum fits.</param>
/// <param name="Verified">False when it was fetched without a known checksum.</param>
/// <param name="Source">Checksum of what it was fetched as; null = not known.</param>
public sealed record CachedBinary(string Name, string Version, string Path, string? Trouble, bool Verified, string? Source)
{
    /// <summary>Size of the file, or of all files of the folder, bytes.</summary>
    public long Bytes { get; init; }
}

/// <summary>
/// A folder of programs, one file (or one folder with its libraries) <c>NAME-vVERSION-PLATFORM</c> each, and <c>checksums.txt</c>. Nothing in it is run
/// unless its checksums fit. Names that begin with a dot are work in progress.
/// </summary>
/// <param name="folder">Absolute path of the cache.</param>
/// <param name="time">Clock of names and locks.</param>
public sealed class BinaryCache(string folder, TimeProvider time)
{
    private const string Aside = ".damaged-";
    private const string Work = ".work";

    /// <summary>Absolute path of the cache.</summary>
    public string Folder => folder;

    /// <summary>Where an artifact lies, or would.</summary>
    public string PathOf(string name, string version) => Path.Combine(folder, BinaryNames.Artifact(name, version));

    /// <summary>Where an artifact is downloaded to; the same each time, so that a cut download can be resumed.</summary>
    internal string DownloadOf(string artifact) => WorkFile(artifact, Work + ".download");

    /// <summary>A new place to unpack an artifact in.</summary>
    internal string TempOf(string artifact) => WorkFile(artifact, $"{Work}.{Guid.NewGuid():N}");

    /// <summary>Versions of a program that lie there for this platform, newest first; unchecked.</summary>
    public ImmutableArray<string> Versions(string name) =>
        [.. Artifacts().Where(a => a.Name == name).Select(a => a.Version).OrderByDescending(v => v, BinaryNames.VersionOrder)];

    /// <summary>Everything that lies there for this platform; unchecked.</summary>
    public ImmutableArray<(string Name, string Version)> Artifacts()
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }

        var found = ImmutableArray.CreateBuilder<(string, string)>();
        foreach (var path in Directory.EnumerateFileSystemEntries(folder).Order(StringComparer.Ordinal))
        {
            if (BinaryNames.TryRead(Path.GetFileName(path), out var name, out var version))
            {
                found.Add((name, version));
            }
        }

        return found.ToImmutable();
    }

    /// <summary>What the cache remembers of an artifact without reading it.</summary>
    /// <returns>Whether its checksum was known when it was fetched; null = no checksum of it is recorded at all.</returns>
    public bool? IsVerified(string name, string version)
    {
        var (artifact, known) = (BinaryNames.Artifact(name, version), ChecksumFile.Read(folder));
        return known.Of(artifact).Any() ? known.Notes.GetValueOrDefault(artifact)?.Verified ?? true : null;
    }

    /// <summary>Size of an artifact, bytes.</summary>
    public long BytesOf(string name, string version) => SizeOf(PathOf(name, version));

    /// <summary>Whether an artifact is being executed right now: the kernel lets nobody write to it.</summary>
    public bool IsInUse(string name, string version)
    {
        var path = PathOf(name, version);
        return Directory.Exists(path) ? Directory.EnumerateFiles(path, name, SearchOption.AllDirectories).Any(IsRunning) : IsRunning(path);
    }

    /// <summary>Reads a program through and compares its checksums.</summary>
    /// <returns>What is there; null when nothing is.</returns>
    public async Task<CachedBinary?> CheckAsync(string name, string version, CancellationToken cancellationToken)
    {
        var artifact = BinaryNames.Artifact(name, version);
        var path = Path.Combine(folder, artifact);
        var isFolder = Directory.Exists(path);
        if (!isFolder && !File.Exists(path))
        {
            return null;
        }

        // Read after the file was seen: an installation puts the file in place first.
        var known = ChecksumFile.Read(folder);
        var sums = known.Of(artifact).ToList();
        var note = known.Notes.GetValueOrDefault(artifact) ?? new Provenance(null, true);
        var program = isFolder ? sums.Select(s => s.Key).FirstOrDefault(k => Path.GetFileName(k) == name) is { } inside ? Path.Combine(folder, inside) : null : path;
        var trouble = sums.Count == 0 ? $"no checksum of it stands in {BinaryNames.ChecksumFile}"
            : program is null ? $"there is no '{name}' in it"
            : !isFolder && new FileInfo(path).LinkTarget is not null ? "it is a link"
            : await FirstWrongAsync(sums, cancellationToken).ConfigureAwait(false);
        return new CachedBinary(name, BinaryNames.Plain(version), trouble is null ? program! : path, trouble, note.Verified, note.Source) { Bytes = SizeOf(path) };
    }

    /// <summary>Takes the lock under which an artifact is installed, moved aside or deleted.</summary>
    internal Task<ArtifactLock> LockAsync(string artifact, Action<string> waiting, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        return ArtifactLock.TakeAsync(WorkFile(artifact, ".lock"), waiting, time, cancellationToken);
    }

    /// <summary>Puts what was unpacked at <paramref name="temp"/> (a file or a folder in the cache) into its place. The caller holds the artifact's lock.</summary>
    internal async Task InstallAsync(string artifact, string temp, Provenance note, CancellationToken cancellationToken)
    {
        var target = Path.Combine(folder, artifact);
        var sums = new List<KeyValuePair<string, string>>();
        if (Directory.Exists(temp))
        {
            foreach (var file in Directory.EnumerateFiles(temp, "*", SearchOption.AllDirectories))
            {
                sums.Add(new($"{artifact}/{Path.GetRelativePath(temp, file)}", await Checksum.OfFileAsync(file, cancellationToken).ConfigureAwait(false)));
            }

            RemoveFiles(target);
            DurableFile.PublishFolder(temp, target);
        }
        else
        {
            sums.Add(new(artifact, await Checksum.OfFileAsync(temp, cancellationToken).ConfigureAwait(false)));
            if (Directory.Exists(target))
            {
                RemoveFiles(target);
            }

            DurableFile.Publish(temp, target);
        }

        await ChangeAsync(known => known.With(artifact, sums, note), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Moves a damaged artifact out of the way, without its right to be executed. The caller holds the artifact's lock.</summary>
    /// <returns>Where it lies now.</returns>
    internal async Task<string> MoveAsideAsync(string artifact, CancellationToken cancellationToken)
    {
        var from = Path.Combine(folder, artifact);
        var to = string.Create(CultureInfo.InvariantCulture, $"{from}{Aside}{time.GetUtcNow():yyyyMMddHHmmssfff}");
        if (Directory.Exists(from))
        {
            Directory.Move(from, to);
            File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
        else
        {
            File.Move(from, to, overwrite: true);
            if (new FileInfo(to).LinkTarget is null)
            {
                File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
        }

        await ChangeAsync(known => known.Without(artifact), cancellationToken).ConfigureAwait(false);
        return to;
    }

    /// <summary>Deletes an artifact.</summary>
    public async Task RemoveAsync(string name, string version, CancellationToken cancellationToken)
    {
        var artifact = BinaryNames.Artifact(name, version);
        using var held = await LockAsync(artifact, static _ => { }, cancellationToken).ConfigureAwait(false);
        await ChangeAsync(known => known.Without(artifact), cancellationToken).ConfigureAwait(false);
        RemoveFiles(Path.Combine(folder, artifact));
    }

    /// <summary>
    /// What no start needs: files moved aside, and work of a process that is gone (downloads that were cut, temp files). Locks stay: a deleted lock can be
    /// held twice.
    /// </summary>
    public ImmutableArray<string> Leftovers()
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }

        return
        [
            .. Directory.EnumerateFileSystemEntries(folder)
                .Where(path => Path.GetFileName(path) is var file
                    && (file.StartsWith('.') ? IsAbandoned(path) : file.Contains(Aside, StringComparison.Ordinal)))
                .Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Deletes something that <see cref="Leftovers"/> named.</summary>
    public static void RemoveFiles(string path)
    {
        if (!Directory.Exists(path))
        {
            File.Delete(path);
            return;
        }

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.Delete(path, recursive: true);
    }

    private static bool IsRunning(string program)
    {
        const int TextBusy = 26;
        try
        {
            using var file = new FileStream(program, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 0);
            return false;
        }
        catch (IOException e)
        {
            return e.HResult == TextBusy;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static long SizeOf(string path) => Directory.Exists(path)
        ? Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Sum(f => new FileInfo(f).Length)
        : new FileInfo(path).Length;

    private async Task<string?> FirstWrongAsync(List<KeyValuePair<string, string>> sums, CancellationToken cancellationToken)
    {
        foreach (var (file, sum) in sums)
        {
            var path = Path.Combine(folder, file);
            if (!File.Exists(path))
            {
                return $"'{file}' is missing";
            }

            if (await Checksum.OfFileAsync(path, cancellationToken).ConfigureAwait(false) is var found && found != sum)
            {
                return $"'{file}' has SHA-256 {found}, {sum} was recorded";
            }
        }

        return null;
    }

    // Work on an artifact belongs to whoever holds its lock; a temp file of a list that is just being replaced is young.
    private bool IsAbandoned(string path)
    {
        var file = Path.GetFileName(path);
        if (file.IndexOf(Work, StringComparison.Ordinal) is > 0 and var end)
        {
            var lockFile = WorkFile(file[1..end], ".lock");
            if (!File.Exists(lockFile))
            {
                return true;
            }

            using var held = FileLock.TryAcquire(lockFile);
            return held is not null;
        }

        return file.EndsWith(".tmp", StringComparison.Ordinal) && time.GetUtcNow() - File.GetLastWriteTimeUtc(path) > TimeSpan.FromHours(1);
    }

    private string WorkFile(string artifact, string suffix) => Path.Combine(folder, $".{artifact}{suffix}");

    private async Task ChangeAsync(Func<ChecksumFile, ChecksumFile> change, CancellationToken cancellationToken)
    {
        using var held = await ArtifactLock.TakeAsync(Path.Combine(folder, ".checksums.lock"), static _ => { }, time, cancellationToken).ConfigureAwait(false);
        change(ChecksumFile.Read(folder)).Write(folder);
    }
}
