using System.Text.Json;
using Loom.Components;
using Loom.Core.Storage;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// Reads the lines of one or several files: once, one file after the other, or following them for as long as the system runs. A line's event id is made of the file
/// and the line's place in it, so reading it again gives the same event.
/// </summary>
#pragma warning disable CA1001 // Cleanup disposes the file.
internal abstract class FileLineSource(FileLineOptions options, ILogger log) : Source<JsonElement>
#pragma warning restore CA1001
{
    private readonly Queue<(string Path, string Partition, long From, long Bytes)> _waiting = new();
    private IReadOnlyDictionary<string, long> _next = new Dictionary<string, long>();
    private SetupContext _ctx = null!;
    private BadLines _bad = null!;
    private FileSet _files = null!;
    private Tail? _tail;
    private Fingerprint[] _followed = [];
    private TailedFile? _current;
    private long? _lastLook;
    private uint _turn;
    private bool _filled;
    private bool _listed;
    private long _waitingBytes;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _ctx = ctx;
        _bad = new BadLines(options.OnBadLine, ctx, log);
        _files = FileSet.Of(options.Path, ctx);
        if (options.MustExist && !options.Follow && _files.List().Count == 0)
        {
            throw new FileNotFoundException(
                _files.IsOneFile ? $"there is no file '{options.Path}' to read" : $"no file matches '{options.Path}'; set must_exist: false where there may be none");
        }

        if (options.Follow)
        {
            _tail = ctx.Own(new Tail(_files, options));
        }

        return default;
    }

    /// <inheritdoc />
    protected internal sealed override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        _next = next;
        _tail?.Seek(next);
        return default;
    }

    /// <inheritdoc />
    protected internal sealed override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        // Files that an earlier run followed keep the names it gave them, for this run and those after it.
        var known = _tail?.Known ?? _followed;
        if (_tail is null && known.Length == 0)
        {
            return new((StateWriter?)null);
        }

        return new((into, cancel) => new ValueTask(JsonSerializer.SerializeAsync(into, known, SourceJson.Default.FingerprintArray, cancel)));
    }

    /// <inheritdoc />
    protected internal sealed override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var known = await JsonSerializer.DeserializeAsync(state.Content, SourceJson.Default.FingerprintArray, ct).ConfigureAwait(false);
        _followed = known ?? [];
        _tail?.Restore(_followed);
    }

    /// <inheritdoc />
    protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
    {
        if (_tail is null)
        {
            _current?.Dispose();
        }

        return default;
    }

    /// <inheritdoc />
    protected internal sealed override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        if (stopping.IsCancellationRequested)
        {
            return new(Read<JsonElement>.End);
        }

        return _current is { } file && TryNext(file, out var read) ? new(read) : ReadOnAsync(stopping, ct);
    }

    /// <summary>Makes the payload of a line.</summary>
    /// <returns>False when the line is to be left out without a word.</returns>
    /// <exception cref="JsonException">The line is not what it should be, and where.</exception>
    protected abstract bool TryParse(ReadOnlySpan<byte> line, string file, out JsonElement data, out bool mock);

    private bool TryNext(TailedFile file, out Read<JsonElement> read)
    {
        while (file.Lines.TryRead())
        {
            if (TryMake(file, out read))
            {
                return true;
            }
        }

        read = default;
        return false;
    }

    private bool TryMake(TailedFile file, out Read<JsonElement> read)
    {
        var lines = file.Lines;
        try
        {
            if (lines.TooLong)
            {
                throw new JsonException($"the line is longer than max_line_bytes, {options.MaxLineBytes}");
            }

            if (TryParse(lines.Line.Span, file.Name, out var data, out var mock))
            {
                read = new Read<JsonElement> { Data = data, Partition = file.Fingerprint.Partition, Offset = lines.LineAt, Next = lines.Position, Mock = mock };
                return true;
            }
        }
        catch (JsonException e)
        {
            if (_bad.Judge($"{file.Name}, the line at byte {lines.LineAt}: {BadLines.Reason(e)}", e) is { } error)
            {
                var shown = BadLines.Shown(lines.Line.Span);
                read = new Read<JsonElement> { Data = shown, Partition = file.Fingerprint.Partition, Offset = lines.LineAt, Next = lines.Position, Error = error };
                return true;
            }
        }

        read = default;
        return false;
    }


    private async ValueTask<Read<JsonElement>> ReadOnAsync(CancellationToken stopping, CancellationToken ct)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (_current is null && !await NextFileAsync(stopping, ct).ConfigureAwait(false))
            {
                break;
            }

            var file = _current!;
            if (TryNext(file, out var read))
            {
                return read;
            }

            if (_filled && _tail is { Open.Count: > 1 })
            {
                // The next file's turn; a line cut in two waits in its reader.
                _filled = false;
                _current = null;
                continue;
            }

            var more = await file.Lines.FillAsync(ct).ConfigureAwait(false);
            if (_tail is null)
            {
                TellLag(file.Lines.Behind + _waitingBytes);
            }

            if (more)
            {
                _filled = true;
                if (_tail is not null && Tail.WasReplaced(file))
                {
                    // What was read belongs to other content: look at once, which opens it anew.
                    _current = null;
                    _lastLook = null;
                }

                continue;
            }

            if (TakesRest(file) && file.Lines.TryReadRest() && TryMake(file, out read))
            {
                return read;
            }

            Leave(file);
        }

        return Read<JsonElement>.End;
    }

    private void TellLag(long bytes) => _ctx.Metrics.Set("behind_bytes", bytes);

    private bool TakesRest(TailedFile file) => !options.Follow || Tail.IsDone(file);

    private void Leave(TailedFile file)
    {
        _current = null;
        _filled = false;
        if (_tail is null)
        {
            file.Dispose();
        }
        else if (Tail.IsDone(file))
        {
            _tail.Close(file);
        }
    }

    private ValueTask<bool> NextFileAsync(CancellationToken stopping, CancellationToken ct) =>
        _tail is null ? new(NextInRow()) : NextFollowedAsync(_tail, stopping, ct);

    private bool NextInRow()
    {
        if (!_listed)
        {
            _listed = true;
            foreach (var path in _files.List())
            {
                var name = PartitionOf(path);
                var from = _next.GetValueOrDefault(name);
                var bytes = new FileInfo(path) is { Exists: true } file ? Math.Max(0, file.Length - from) : 0;
                _waiting.Enqueue((path, name, from, bytes));
                _waitingBytes += bytes;
            }
        }

        if (!_waiting.TryDequeue(out var next))
        {
            return false;
        }

        _waitingBytes -= next.Bytes;
        var handle = File.OpenHandle(next.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous | FileOptions.SequentialScan);
        _current = new TailedFile(_files.NameOf(next.Path), new Fingerprint(next.Partition, next.Path, 0, 0, 0, "", 0), new LineReader(handle, next.From, options.MaxLineBytes));
        return true;
    }

    private string PartitionOf(string path)
    {
        if (_followed.Length > 0 && FileStat.Of(path, follow: true) is { } stat)
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var head = Fingerprint.HeadOf(handle);
            if (Array.Find(_followed, f => f.IsSameNode(stat) && f.Fits(stat, head)) is { } known)
            {
                return known.Partition;
            }
        }

        return _files.NameOf(path);
    }

    // Files with something to read take turns, a block each.
    private async ValueTask<bool> NextFollowedAsync(Tail tail, CancellationToken stopping, CancellationToken ct)
    {
        while (true)
        {
            if (_lastLook is not { } last || _ctx.Time.GetElapsedTime(last) >= options.PollMs)
            {
                tail.Look();
                _lastLook = _ctx.Time.GetTimestamp();
                TellLag(tail.Open.Sum(f => f.Lines.Behind));
            }

            for (var i = 0; i < tail.Open.Count; i++)
            {
                var file = tail.Open[(int)(_turn++ % (uint)tail.Open.Count)];
                if (file.Lines.Behind > file.Lines.Pending || Tail.IsDone(file))
                {
                    _current = file;
                    return true;
                }
            }

            if (!await Waiting.ForAsync(options.PollMs, _ctx.Time, stopping, ct).ConfigureAwait(false))
            {
                return false;
            }
        }
    }
}
