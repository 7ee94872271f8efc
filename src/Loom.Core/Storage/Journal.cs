using System.Buffers;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Core.Loops;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Storage;

/// <summary>
/// An append-only file of records, each chained to the one before it by SHA-256. An append has happened once its task completes: then it survives a power
/// cut. Appends that come while the disk is busy share its next flush. One loop owns the file, so any thread may append.
/// </summary>
public sealed class Journal : IAsyncDisposable
{
    private const int LargestBatch = 1024 * 1024;

    private readonly Channel<Request> _requests = Channel.CreateUnbounded<Request>(new UnboundedChannelOptions { SingleReader = true });
    private readonly ArrayBufferWriter<byte> _batch = new(64 * 1024);
    private readonly string _path;
    private readonly IJournalDisk _disk;
    private readonly BackgroundLoop _loop;
    private IJournalFile _file;
    private JournalChain _chain;
    private long _length;
    private long _generation;
    private bool _dirty;

    private Journal(string path, IJournalDisk disk, IJournalFile file, JournalReader read, JournalReport report, ILogger log)
    {
        _path = path;
        _disk = disk;
        _file = file;
        _chain = read.Chain;
        _length = report.Length;
        _generation = GenerationOf(read.Header);
        _dirty = report.TornBytes > 0;
        _loop = BackgroundLoop.Start($"journal {Path.GetFileName(path)}", RunAsync, log);
    }

    /// <summary>Bytes of the file.</summary>
    public long Length => Volatile.Read(ref _length);

    /// <summary>Opens a journal, or begins one. What a cut-off write left at its end is removed.</summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="replay">Given each record in order, before this returns.</param>
    /// <param name="log">Where an unexpected end of the writing loop is reported.</param>
    /// <param name="report">What was found.</param>
    /// <exception cref="JournalBrokenException">The chain is broken; the good records before the break have been replayed. The file is left as it is.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static Journal Open(string path, Action<ReadOnlySpan<byte>> replay, ILogger log, out JournalReport report) =>
        Open(path, new JournalDisk(path), replay, log, out report);

    /// <summary>Opens a journal on any disk.</summary>
    internal static Journal Open(string path, IJournalDisk disk, Action<ReadOnlySpan<byte>> replay, ILogger log, out JournalReport report)
    {
        var file = disk.Open();
        try
        {
            var reader = new JournalReader(replay);
            using (var stream = file.Read())
            {
                report = reader.Read(stream);
            }

            return report.BrokenAt is null ? new Journal(path, disk, file, reader, report, log) : throw new JournalBrokenException(path, report);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Appends a record: one line of text without NUL, in practice compact JSON. Completes when it is on disk.</summary>
    /// <param name="record">The record.</param>
    /// <param name="written">Called once it is on disk, on the journal's own thread and before anything else is served: what a snapshot must hold.</param>
    /// <exception cref="DiskFullException">It does not fit; nothing of it is kept, and a later append may succeed.</exception>
    /// <exception cref="IOException">It could not be written; nothing of it is kept.</exception>
    /// <exception cref="ArgumentException">The record holds a line feed or a NUL.</exception>
    public Task AppendAsync(ReadOnlyMemory<byte> record, Action? written = null)
    {
        JournalChain.Check(record.Span);
        return Ask(new Request(record, null, written));
    }

    /// <summary>
    /// Replaces the whole content by a shorter one of the same meaning. Records appended before this call may be in the snapshot or follow it, so reading
    /// them twice must do no harm. On failure the old content stands.
    /// </summary>
    /// <param name="snapshot">The records; asked once, on the journal's own thread.</param>
    /// <exception cref="DiskFullException">There is no room for both.</exception>
    public Task CompactAsync(Func<IEnumerable<ReadOnlyMemory<byte>>> snapshot) => Ask(new Request(default, snapshot, null));

    /// <summary>Writes what was appended, then closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _loop.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _loop.DisposeAsync().ConfigureAwait(false);
        _file.Dispose();
    }

    private Task Ask(Request request) =>
        _requests.Writer.TryWrite(request) ? request.Done.Task : Task.FromException(new ObjectDisposedException(nameof(Journal)));

    private async Task RunAsync(CancellationToken cancel)
    {
        // Ends when the writer side completes, not when it is cancelled: what was appended before is still written.
        var taken = new List<Request>();
        try
        {
            await ServeAllAsync(taken).ConfigureAwait(false);
        }
        finally
        {
            // However the loop ends: nobody waits for a file that has no owner any more.
            _requests.Writer.TryComplete();
            while (_requests.Reader.TryRead(out var left))
            {
                taken.Add(left);
            }

            foreach (var request in taken)
            {
                request.Done.TrySetException(new IOException($"the journal '{_path}' was closed before the record was written"));
            }
        }
    }

    private async Task ServeAllAsync(List<Request> taken)
    {
        while (await _requests.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
        {
            taken.Clear();
            var bytes = 0L;
            while (bytes < LargestBatch && _requests.Reader.TryPeek(out var next) && (next.Snapshot is null || taken.Count == 0))
            {
                _requests.Reader.TryRead(out _);
                taken.Add(next);
                bytes += next.Record.Length + JournalChain.Overhead;
                if (next.Snapshot is not null)
                {
                    break;
                }
            }

            Serve(taken);
        }
    }

    private void Serve(List<Request> taken)
    {
        Exception? failure = null;
        try
        {
            if (taken[0].Snapshot is { } snapshot)
            {
                Compact(snapshot);
            }
            else
            {
                Write(taken);
            }
        }
        catch (IOException e) when (DiskFullException.Is(e))
        {
            failure = new DiskFullException($"the disk of '{_path}' is full; free some space and try again", e);
        }
        catch (Exception e)
        {
            // Told to whoever asked; the next request may fare better, and must not wait for ever.
            failure = e;
        }

        foreach (var request in taken)
        {
            if (failure is null)
            {
                request.Done.TrySetResult();
            }
            else
            {
                request.Done.TrySetException(failure);
            }
        }
    }

    private void Write(List<Request> taken)
    {
        if (_dirty)
        {
            _file.Cut(_length);
            _dirty = false;
        }

        var chain = _chain.Fork();
        _batch.ResetWrittenCount();
        if (_length == 0)
        {
            chain.Append(Header(1, chain.Last), _batch);
        }

        foreach (var request in taken)
        {
            chain.Append(request.Record.Span, _batch);
        }

        // Until the flush has returned, nobody knows what stands in the file.
        _dirty = true;
        _file.Write(_batch.WrittenSpan, _length);
        _file.Flush();
        _dirty = false;
        _chain = chain;
        _length += _batch.WrittenCount;
        if (_batch.Capacity > 4 * LargestBatch)
        {
            _batch.Clear();
        }

        foreach (var request in taken)
        {
            request.Written?.Invoke();
        }
    }

    private void Compact(Func<IEnumerable<ReadOnlyMemory<byte>>> snapshot)
    {
        var next = _disk.CreateNext();
        try
        {
            var chain = new JournalChain();
            var length = 0L;
            _batch.ResetWrittenCount();
            chain.Append(Header(_generation + 1, _chain.Last), _batch);
            foreach (var record in snapshot())
            {
                chain.Append(record.Span, _batch);
                if (_batch.WrittenCount >= LargestBatch)
                {
                    length += Spill(next, length);
                }
            }

            length += Spill(next, length);
            next.Flush();
            _disk.PublishNext();
            _file.Dispose();
            _file = next;
            _chain = chain;
            _length = length;
            _generation++;
            _dirty = false;
        }
        catch
        {
            if (!ReferenceEquals(_file, next))
            {
                next.Dispose();
                _disk.DiscardNext();
            }

            throw;
        }
    }

    private int Spill(IJournalFile file, long at)
    {
        var count = _batch.WrittenCount;
        file.Write(_batch.WrittenSpan, at);
        _batch.ResetWrittenCount();
        return count;
    }

    // Names the generation and where the one before it ended, so that an old copy put back is told from the newest file.
    private static byte[] Header(long generation, string previous) =>
        JsonSerializer.SerializeToUtf8Bytes(new JournalHeader(1, generation, previous), JournalJson.Default.JournalHeader);

    private static long GenerationOf(byte[] header)
    {
        try
        {
            return header.Length == 0 ? 1 : JsonSerializer.Deserialize(header, JournalJson.Default.JournalHeader)!.Generation;
        }
        catch (JsonException)
        {
            return 1;
        }
    }

    private sealed record Request(ReadOnlyMemory<byte> Record, Func<IEnumerable<ReadOnlyMemory<byte>>>? Snapshot, Action? Written)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
