using System.Text.Json;
using Loom.Core.Storage;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Tasks;

/// <summary>
/// The record of tasks on disk. When it cannot be written, durable tasks are refused with 507 and everything else goes on; the next append tries again.
/// </summary>
internal sealed partial class TaskJournal : IAsyncDisposable
{
    /// <summary>Bytes below which a file is left as it is.</summary>
    public const long WorthCompacting = 16 * 1024 * 1024;

    private readonly ILogger _log;
    private readonly long _worthCompacting;
    private Journal? _journal;
    private long _floor;
    private volatile string? _fault;

    private TaskJournal(ILogger log, long worthCompacting)
    {
        _log = log;
        _worthCompacting = worthCompacting;
    }

    /// <summary>Why nothing can be written; null while all is well.</summary>
    public string? Fault => _fault;

    /// <summary>Opens the journal and reads it.</summary>
    /// <param name="path">The file; null = tasks are not kept on disk.</param>
    /// <param name="replay">Given each record in order.</param>
    /// <param name="time">Clock for the name of a broken journal that is moved away.</param>
    /// <param name="log">Where trouble is told.</param>
    /// <param name="worthCompacting">Bytes below which it is left as it is.</param>
    public static TaskJournal Open(string? path, Action<TaskRecord> replay, TimeProvider time, ILogger log, long worthCompacting = WorthCompacting)
    {
        var opened = new TaskJournal(log, worthCompacting);
        if (path is null)
        {
            return opened;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            opened.Read(path, replay, time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            opened._fault = $"the journal of tasks cannot be opened: {e.Message}";
            LogUnreadable(log, path, e);
        }

        return opened;
    }

    /// <summary>Whether records are kept at all.</summary>
    public bool IsDurable => _journal is not null || _fault is not null;

    /// <summary>Writes a record; it is on disk when this completes. Does nothing for tasks that are not kept on disk.</summary>
    /// <param name="record">The record.</param>
    /// <param name="written">Called once it is on disk, before the journal is shortened or anything else is written.</param>
    /// <exception cref="ProblemException">507.</exception>
    public async Task WriteAsync(TaskRecord record, Action? written = null)
    {
        if (_journal is null)
        {
            if (_fault is { } unopened)
            {
                throw Full(unopened);
            }

            written?.Invoke();
            return;
        }

        try
        {
            await _journal.AppendAsync(Bytes(record), written).ConfigureAwait(false);
            _fault = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (_fault is null)
            {
                LogUnwritable(_log, e);
            }

            _fault = $"the journal of tasks cannot be written: {e.Message}";
            throw Full(_fault);
        }
    }

    /// <summary>The same, where nobody can be refused any more: a failure is logged and shown by health.</summary>
    public async Task NoteAsync(TaskRecord record)
    {
        try
        {
            await WriteAsync(record).ConfigureAwait(false);
        }
        catch (ProblemException)
        {
            // WriteAsync has told.
        }
    }

    /// <summary>Shortens the file when most of it is about tasks that are gone.</summary>
    /// <param name="snapshot">Records of the tasks there are, in their order.</param>
    public async Task CompactAsync(Func<IEnumerable<TaskRecord>> snapshot)
    {
        if (_journal is null || _journal.Length < Math.Max(_worthCompacting, 2 * _floor))
        {
            return;
        }

        try
        {
            await _journal.CompactAsync(() => snapshot().Select(Bytes)).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The old file stands, whatever was wrong with the new one.
            LogUnwritable(_log, e);
        }

        _floor = _journal.Length;
    }

    public async ValueTask DisposeAsync()
    {
        if (_journal is not null)
        {
            await _journal.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>What the journal must hold about a task, as far as it was told: also what its readers do not see yet.</summary>
    public static IEnumerable<TaskRecord> RecordsOf(TaskEntry task)
    {
        var noted = task.Noted;
        if (noted.End is { } end)
        {
            yield return TaskRecord.OfEnd(task, end);
        }
        else if (noted is { Accepted: true, Request: { } request })
        {
            yield return TaskRecord.OfAcceptance(task, request, noted.Started);
        }
    }

    private static ReadOnlyMemory<byte> Bytes(TaskRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, TaskJournalJson.Default.TaskRecord);

    private static ProblemException Full(string why) =>
        new(new Problem(ProblemCode.DiskFull, $"{why}; a durable task cannot be accepted. Free some space, or set serving.tasks_durable = false"));

    private void Read(string path, Action<TaskRecord> replay, TimeProvider time)
    {
        var good = new List<TaskRecord>();
        void Take(ReadOnlySpan<byte> record)
        {
            try
            {
                good.Add(JsonSerializer.Deserialize(record, TaskJournalJson.Default.TaskRecord)!);
            }
            catch (JsonException e)
            {
                LogUnknownRecord(_log, path, e.Message);
            }
        }

        JournalReport report;
        try
        {
            _journal = Journal.Open(path, Take, _log, out report);
        }
        catch (JournalBrokenException e)
        {
            // What stands before the break is true; what follows it cannot be trusted. Both are kept for whoever looks into it.
            var aside = $"{path}.broken-{time.GetUtcNow():yyyyMMddHHmmss}";
            LogBroken(_log, aside, e);
            File.Move(path, aside, overwrite: true);
            _journal = Journal.Open(path, static _ => { }, _log, out report);
            var kept = good.ToList();
            _journal.CompactAsync(() => kept.Select(Bytes)).GetAwaiter().GetResult();
        }

        if (report.TornBytes > 0)
        {
            LogTorn(_log, path, report.TornBytes, report.Length);
        }

        _floor = _journal.Length;
        good.ForEach(replay);
    }

    [LoggerMessage(EventId = 332, Level = LogLevel.Warning, Message = "journal {Path}: {Bytes} bytes of a write that was cut off are left out after byte {Length}; they were never acknowledged")]
    private static partial void LogTorn(ILogger logger, string path, long bytes, long length);

    [LoggerMessage(EventId = 333, Level = LogLevel.Error, Message = "the journal of tasks is broken; it was moved to {Aside}, and the tasks before the break go on")]
    private static partial void LogBroken(ILogger logger, string aside, Exception error);

    [LoggerMessage(EventId = 334, Level = LogLevel.Error, Message = "journal {Path} cannot be opened; durable tasks are refused with 507")]
    private static partial void LogUnreadable(ILogger logger, string path, Exception error);

    [LoggerMessage(EventId = 335, Level = LogLevel.Error, Message = "the journal of tasks cannot be written; durable tasks are refused with 507 until it can")]
    private static partial void LogUnwritable(ILogger logger, Exception error);

    [LoggerMessage(EventId = 336, Level = LogLevel.Warning, Message = "journal {Path}: a record of another version is left out: {Reason}")]
    private static partial void LogUnknownRecord(ILogger logger, string path, string reason);
}
