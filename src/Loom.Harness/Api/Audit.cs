using System.Text.Json;
using Loom.Core.Storage;
using Loom.Core.Web;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Api;

/// <summary>
/// Who asked what of a running system: one record for each request that changes something, in the journal <c>.loom/harness/SYSTEM/audit.jsonl</c>, whose lines are chained by
/// hashes. Opened by the first such request.
/// </summary>
/// <param name="folder">The system's state folder.</param>
/// <param name="time">Clock.</param>
/// <param name="log">Told when a record cannot be written; what was asked for is done all the same.</param>
internal sealed partial class Audit(string folder, TimeProvider time, ILogger log) : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private Journal? _journal;
    private bool _closed;

    public async Task WriteAsync(ApiCall call, string outcome)
    {
        try
        {
            var record = JsonSerializer.SerializeToUtf8Bytes(
                new AuditRecord(time.GetUtcNow(), $"{call.Http.Request.Method} {call.Http.Request.Path}", call.Caller.Name, call.RequestId, outcome), AuditJson.Default.AuditRecord);
            await Opened().AppendAsync(record).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JournalBrokenException or ObjectDisposedException)
        {
            LogNotWritten(log, call.Http.Request.Method, call.Http.Request.Path, e.Message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Journal? journal;
        lock (_lock)
        {
            (_closed, journal) = (true, _journal);
        }

        if (journal is not null)
        {
            await journal.DisposeAsync().ConfigureAwait(false);
        }
    }

    private Journal Opened()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            return _journal ??= Journal.Open(Path.Combine(folder, "audit.jsonl"), static _ => { }, log, out _);
        }
    }

    [LoggerMessage(EventId = 4400, Level = LogLevel.Error, Message = "{Method} {Path} could not be written to the audit journal: {Why}")]
    private static partial void LogNotWritten(ILogger logger, string method, string path, string why);
}

/// <summary>One request that changed something, or was refused.</summary>
internal sealed record AuditRecord(DateTimeOffset Time, string Action, string Caller, string RequestId, string Outcome);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower)]
[System.Text.Json.Serialization.JsonSerializable(typeof(AuditRecord))]
internal sealed partial class AuditJson : System.Text.Json.Serialization.JsonSerializerContext;
