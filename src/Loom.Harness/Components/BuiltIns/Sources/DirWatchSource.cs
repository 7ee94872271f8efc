using System.Collections.Concurrent;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Components;
using Loom.Core.Storage;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// One event for each new or changed file of a folder. The kernel's notices only hasten a look; what counts is what the folder holds. A version of a file is known by the time it was
/// written, which is part of its event's id.
/// </summary>
[Component("dir_watch", Type = ComponentType.Source, Replayable = true, Acknowledges = true,
    Summary = "Watches a folder and reads each new or changed file once it is quiet: {\"path\", \"name\", \"size\", \"modified\", \"text\"}. With checkpoints, a file read before is not read again.")]
#pragma warning disable CA1001 // Cleanup disposes the watcher.
internal sealed partial class DirWatchSource(DirWatchOptions options, ILogger<DirWatchSource> log) : Source<JsonElement>
#pragma warning restore CA1001
{
    private readonly Dictionary<string, (FileFacts Facts, long Since)> _settling = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _read = new(StringComparer.Ordinal);
    private readonly Queue<(string Path, long Version)> _ready = new();
    private readonly Channel<bool> _notices = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private SetupContext _ctx = null!;
    private FileSet _files = null!;
    private string? _moveTo;
    private FileSystemWatcher? _watcher;
    private long? _lastScan;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _ctx = ctx;
        _files = FileSet.Of(options.Path, options.Glob, ctx);
        if (options.OnDone != DoneFile.Keep)
        {
            ctx.WritePath(options.Path);
            _moveTo = options.MoveTo is { } folder ? ctx.WritePath(folder) : null;
        }

        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        foreach (var (name, version) in next)
        {
            _read[name] = version - 1;
        }

        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
    {
        _watcher?.Dispose();
        return default;
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        while (!stopping.IsCancellationRequested)
        {
            while (_ready.TryDequeue(out var next))
            {
                TellLag();
                if (await TakeAsync(next.Path, next.Version, ct).ConfigureAwait(false) is { } read)
                {
                    return read;
                }
            }

            if (_lastScan is not { } last || _ctx.Time.GetElapsedTime(last) >= options.Rescan || _notices.Reader.TryRead(out _))
            {
                Scan();
            }

            Settle();
            TellLag();
            if (_ready.Count == 0)
            {
                if (options.Once && _settling.Count == 0)
                {
                    break;
                }

                await WaitAsync(stopping, ct).ConfigureAwait(false);
            }
        }

        return Read<JsonElement>.End;
    }

    private void TellLag() => _ctx.Metrics.Set("behind_files", _ready.Count + _settling.Count);

    private void Scan()
    {
        if (_watcher is null && !options.Once)
        {
            Watch();
        }

        var first = _lastScan is null;
        _lastScan = _ctx.Time.GetTimestamp();
        foreach (var path in _files.List())
        {
            if (FileFacts.Of(path) is not { Kind: FileKind.Regular } facts)
            {
                continue;
            }

            if (_read.TryGetValue(_files.NameOf(path), out var version) && version == facts.ModifiedNs)
            {
                if (first && options.OnDone != DoneFile.Keep)
                {
                    // The checkpoint that confirmed it was the last act of the run before.
                    Finish(path, version);
                }

                continue;
            }

            if (!_settling.ContainsKey(path))
            {
                _settling[path] = (facts, _ctx.Time.GetTimestamp());
            }
        }
    }

    private void Settle()
    {
        foreach (var (path, (facts, since)) in _settling.OrderBy(s => s.Key, StringComparer.Ordinal).ToArray())
        {
            if (FileFacts.Of(path) is not { Kind: FileKind.Regular } now)
            {
                _settling.Remove(path);
            }
            else if (now != facts)
            {
                _settling[path] = (now, _ctx.Time.GetTimestamp());
            }
            else if (_ctx.Time.GetElapsedTime(since) >= options.SettleMs)
            {
                _settling.Remove(path);
                _ready.Enqueue((path, facts.ModifiedNs));
            }
        }
    }

    private async ValueTask<Read<JsonElement>?> TakeAsync(string path, long version, CancellationToken ct)
    {
        var name = _files.NameOf(path);
        _read[name] = version;
        if (await FilePayload.ReadAsync(path, name, options.Content, options.MaxBytes, ct).ConfigureAwait(false) is not { } taken)
        {
            return null;
        }

        if (FileFacts.Of(path) is { } after && after.ModifiedNs != version)
        {
            // Written while it was read: once more when it is quiet again.
            _settling[path] = (after, _ctx.Time.GetTimestamp());
            return null;
        }

        var (data, error) = taken;
        var stays = options.OnDone == DoneFile.Keep || error is not null;
        return new Read<JsonElement>
        {
            Data = data,
            Error = error,
            Partition = name,
            Offset = version,
            // What nobody has read is not taken away; where files are, the next run tries it again.
            Next = error is not null && options.OnDone != DoneFile.Keep ? version : version + 1,
            Acknowledge = stays ? null : () =>
            {
                Finish(path, version);
                return default;
            },
        };
    }

    // A file that cannot be moved is told and stays; it is known as read, so it is not read for ever.
    private void Finish(string path, long version)
    {
        try
        {
            if (FileFacts.Of(path) is not { } now || now.ModifiedNs != version)
            {
                return;
            }

            if (_moveTo is null)
            {
                File.Delete(path);
                return;
            }

            var target = Path.Combine(_moveTo, Path.GetRelativePath(_files.Root, path));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Move(path, target, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotFinished(log, _ctx.Name, _files.NameOf(path), e.Message);
        }
    }

    private void Watch()
    {
        if (!Directory.Exists(_files.Root))
        {
            return;
        }

        FileSystemWatcher? watcher = null;
        try
        {
            watcher = new FileSystemWatcher(_files.Root)
            {
                IncludeSubdirectories = true,
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Size,
            };
            watcher.Created += (_, _) => Notice();
            watcher.Changed += (_, _) => Notice();
            watcher.Renamed += (_, _) => Notice();
            watcher.Error += (_, _) => Notice();
            watcher.EnableRaisingEvents = true;
            _watcher = watcher;
        }
        catch (IOException e)
        {
            watcher?.Dispose();
            LogPolls(log, _ctx.Name, options.Rescan.TotalSeconds, e.Message);
            // Not again at each scan.
            _watcher = new FileSystemWatcher();
        }
    }

    private void Notice() => _notices.Writer.TryWrite(true);

    private async ValueTask WaitAsync(CancellationToken stopping, CancellationToken ct)
    {
        var wait = options.Rescan - _ctx.Time.GetElapsedTime(_lastScan!.Value);
        if (_settling.Count > 0)
        {
            var soonest = _settling.Values.Min(s => options.SettleMs - _ctx.Time.GetElapsedTime(s.Since));
            wait = wait < soonest ? wait : soonest;
        }

        if (wait <= TimeSpan.Zero)
        {
            return;
        }

        // A notice, the time, or the end: the caller looks.
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
        await Task.WhenAny(_notices.Reader.WaitToReadAsync(over.Token).AsTask(), Task.Delay(wait, _ctx.Time, over.Token)).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        ct.ThrowIfCancellationRequested();
    }

    [LoggerMessage(EventId = 4302, Level = LogLevel.Warning, Message = "{Component}: {File} is done but could not be moved or deleted: {Error}")]
    private static partial void LogNotFinished(ILogger logger, string component, string file, string error);

    [LoggerMessage(EventId = 4303, Level = LogLevel.Warning, Message = "{Component}: the kernel gives no notices of changes, so the folder is looked through every {Seconds} s: {Error}")]
    private static partial void LogPolls(ILogger logger, string component, double seconds, string error);
}
