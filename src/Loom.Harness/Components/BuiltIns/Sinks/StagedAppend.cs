using System.Buffers;
using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>What a checkpoint keeps of a staged file.</summary>
/// <param name="Path">The file that is appended to.</param>
/// <param name="Base">Its length with everything that was committed before.</param>
/// <param name="Segments">Staged pieces that follow, in order.</param>
internal sealed record StagedState(string Path, long Base, IReadOnlyList<Segment> Segments);

/// <summary>A staged piece: a file <c>NUMBER.part</c> of the staging folder.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Bytes">How much of it counts.</param>
/// <param name="Sealed">Whether it belongs to a checkpoint: nothing is added to it any more.</param>
internal sealed record Segment(long Number, long Bytes, bool Sealed);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StagedState))]
[JsonSerializable(typeof(StagedFiles))]
internal sealed partial class StagedJson : JsonSerializerContext;

/// <summary>
/// Appends to a file so that its reader sees exactly what checkpoints committed. Records go to a staged piece first. A flush seals the piece; the checkpoint keeps its
/// length and the length of the file before it; the commit copies it to that very place, flushes the file and only then removes the piece. Each step can be repeated: after a
/// crash the checkpoint that is resumed says how long the file is with its pieces, the pieces that are still there are copied again, and whatever stands behind is cut off, because the
/// events of it come again.
/// </summary>
internal sealed partial class StagedAppend(string path, string staging, bool replace, ILogger log) : AppendFile
{
    private readonly List<Segment> _sealed = [];
    private SafeFileHandle? _part;
    private long _number;
    private long _base;
    private int _inCheckpoint;
    private bool _begun;

    /// <inheritdoc />
    public override bool IsEmpty
    {
        get
        {
            Begin();
            return _base == 0 && _sealed.Count == 0 && Length == 0 && !HasCollected;
        }
    }

    /// <inheritdoc />
    public override async ValueTask FlushAsync(bool durable, CancellationToken ct)
    {
        Begin();
        await WriteOutAsync(ct).ConfigureAwait(false);
        if (_part is null || Length == 0)
        {
            return;
        }

        RandomAccess.FlushToDisk(_part);
        _part.Dispose();
        _part = null;
        _sealed.Add(new Segment(_number++, Length, Sealed: true));
        Length = 0;
    }

    /// <inheritdoc />
    public override StagedState? Snapshot()
    {
        Begin();
        _inCheckpoint = _sealed.Count;
        return new StagedState(path, _base, _part is null ? [.. _sealed] : [.. _sealed, new Segment(_number, Length, Sealed: false)]);
    }

    /// <inheritdoc />
    public override async ValueTask CommitAsync(CancellationToken ct)
    {
        Begin();
        if (_inCheckpoint == 0)
        {
            return;
        }

        await AppendAsync(_sealed.GetRange(0, _inCheckpoint), ct).ConfigureAwait(false);
        _sealed.RemoveRange(0, _inCheckpoint);
        _inCheckpoint = 0;
    }

    /// <inheritdoc />
    public override async ValueTask RestoreAsync(StagedState state, CancellationToken ct)
    {
        _begun = true;
        var moved = !string.Equals(state.Path, path, StringComparison.Ordinal);
        _base = state.Base;
        if (moved)
        {
            LogMoved(log, state.Path, path);
            using var other = OpenFor(path, out _);
            _base = PlainAppend.EndLastLine(other);
        }

        var present = new List<Segment>();
        foreach (var segment in state.Segments)
        {
            if (File.Exists(PartOf(segment.Number)))
            {
                present.Add(segment);
            }
            else if (!moved)
            {
                // Removed after it was copied, and only then.
                _base += segment.Bytes;
            }
        }

        _number = state.Segments.Count == 0 ? 0 : state.Segments[^1].Number + 1;
        RemoveParts(except: present);
        await AppendAsync(present.FindAll(s => s.Sealed), ct).ConfigureAwait(false);
        Cut();
        if (present.Find(s => !s.Sealed) is { } open)
        {
            _number = open.Number;
            RandomAccess.SetLength(Open(), open.Bytes);
            Length = open.Bytes;
        }
    }

    /// <inheritdoc />
    public override byte[] Start()
    {
        Begin();
        using var file = OpenFor(_base > 0 || _part is null ? path : PartOf(_number), out _);
        return StartOf(file);
    }

    public override void Dispose() => _part?.Dispose();

    /// <inheritdoc />
    protected override SafeFileHandle Open()
    {
        Begin();
        return _part ??= OpenFor(PartOf(_number), out _);
    }

    // Without a checkpoint to go on from: what was staged will come again.
    private void Begin()
    {
        if (_begun)
        {
            return;
        }

        _begun = true;
        RemoveParts([]);
        using var file = OpenFor(path, out _);
        if (replace)
        {
            RandomAccess.SetLength(file, 0);
        }

        _base = PlainAppend.EndLastLine(file);
    }

    private async ValueTask AppendAsync(List<Segment> segments, CancellationToken ct)
    {
        if (segments.Count == 0)
        {
            return;
        }

        using (var file = OpenFor(path, out _))
        {
            var at = _base;
            foreach (var segment in segments)
            {
                using var part = File.OpenHandle(PartOf(segment.Number), FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.Asynchronous);
                await CopyAsync(part, file, segment.Bytes, at, ct).ConfigureAwait(false);
                at += segment.Bytes;
            }

            RandomAccess.FlushToDisk(file);
            _base = at;
        }

        foreach (var segment in segments)
        {
            File.Delete(PartOf(segment.Number));
        }
    }

    private static async ValueTask CopyAsync(SafeFileHandle from, SafeFileHandle to, long bytes, long at, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(256 * 1024);
        try
        {
            for (var done = 0L; done < bytes;)
            {
                var read = await RandomAccess.ReadAsync(from, buffer.AsMemory(0, (int)Math.Min(buffer.Length, bytes - done)), done, ct).ConfigureAwait(false);
                if (read == 0)
                {
                    throw new InvalidDataException($"a staged piece has {done} bytes where its checkpoint counts {bytes}; the disk has lost data that was flushed");
                }

                await RandomAccess.WriteAsync(to, buffer.AsMemory(0, read), at + done, ct).ConfigureAwait(false);
                done += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // The file with exactly what the checkpoint committed.
    private void Cut()
    {
        using var file = OpenFor(path, out _);
        var length = RandomAccess.GetLength(file);
        if (length > _base)
        {
            LogCut(log, path, length - _base);
            RandomAccess.SetLength(file, _base);
            RandomAccess.FlushToDisk(file);
        }
        else if (length < _base)
        {
            LogShort(log, path, _base - length);
            _base = PlainAppend.EndLastLine(file);
        }
    }

    private string PartOf(long number) => Path.Combine(staging, string.Create(CultureInfo.InvariantCulture, $"{number}.part"));

    private void RemoveParts(IReadOnlyList<Segment> except)
    {
        if (!Directory.Exists(staging))
        {
            return;
        }

        foreach (var part in Directory.EnumerateFiles(staging, "*.part"))
        {
            if (!except.Any(s => string.Equals(PartOf(s.Number), part, StringComparison.Ordinal)))
            {
                File.Delete(part);
            }
        }
    }

    [LoggerMessage(EventId = 4310, Level = LogLevel.Information, Message = "{Path}: {Bytes} bytes behind the checkpoint are cut off; their events come again")]
    private static partial void LogCut(ILogger logger, string path, long bytes);

    [LoggerMessage(EventId = 4311, Level = LogLevel.Warning, Message = "{Path} is {Bytes} bytes shorter than what was committed to it: somebody has changed it; output goes on at its end")]
    private static partial void LogShort(ILogger logger, string path, long bytes);

    [LoggerMessage(EventId = 4312, Level = LogLevel.Warning, Message = "the checkpoint wrote to {Old}; output goes to {New} from now on")]
    private static partial void LogMoved(ILogger logger, string old, string @new);
}
