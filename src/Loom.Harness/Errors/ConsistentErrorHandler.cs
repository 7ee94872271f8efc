using System.Collections.Concurrent;
using System.Globalization;
using Loom.Components;
using Loom.Harness.Secrets;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Errors;

/// <summary>Who tells of errors.</summary>
/// <param name="System">The system's name.</param>
/// <param name="Version">The system's version.</param>
/// <param name="Instance">This process, among others that run the same system.</param>
/// <param name="Unlocked">The run is not bound to a lock.</param>
internal sealed record ErrorOrigin(string System, string Version, string Instance, bool Unlocked)
{
    /// <summary>Values that never appear in a record, by name; they become <c>[redacted:NAME]</c>.</summary>
    public IReadOnlyDictionary<string, string> Secrets { get; init; } = new Dictionary<string, string>();

    /// <summary>What of the payloads of a component's port is secret; what stands there never appears in a record either.</summary>
    public Func<string, string, SecretFields> FieldsOf { get; init; } = static (_, _) => SecretFields.None;
}

/// <summary>
/// Makes one record of every failed item, with the state of the machine beside it, and tells the log: equal errors once in ten seconds with their count. Safe for
/// any number of threads.
/// </summary>
internal sealed partial class ConsistentErrorHandler : IDisposable
{
    /// <summary>Records that are kept for a look.</summary>
    public const int MostRecent = 100;

    private const int LongestMessage = 4096;
    private const int DeepestChain = 8;

    private readonly Lock _gate = new();
    private readonly ErrorOrigin _origin;
    private readonly SecretText _secrets;
    private readonly ResourceSampler _resources;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly string _run;
    private readonly ErrorTally _tally = new();
    private readonly ConcurrentDictionary<(string Component, string Port), SecretFields> _fields = [];
    private readonly ErrorRecord?[] _recent = new ErrorRecord?[MostRecent];
    private readonly ITimer _timer;
    private long _count;

    /// <param name="origin">Who tells.</param>
    /// <param name="probe">Looks at the machine.</param>
    /// <param name="time">Clock.</param>
    /// <param name="random">Tells the ids of this run from those of others.</param>
    /// <param name="log">Where errors are said.</param>
    public ConsistentErrorHandler(ErrorOrigin origin, IResourceProbe probe, TimeProvider time, Random random, ILogger log)
    {
        (_origin, _secrets, _time, _log) = (origin, SecretText.Of(origin.Secrets), time, log);
        _resources = new ResourceSampler(probe, time);
        _run = random.Next(0, 1 << 24).ToString("x6", CultureInfo.InvariantCulture);
        _timer = time.CreateTimer(static self => ((ConsistentErrorHandler)self!).SayRepeated(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Records made so far.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>The newest records, newest first; at most <see cref="MostRecent"/>.</summary>
    public IReadOnlyList<ErrorRecord> Recent
    {
        get
        {
            var (recent, newest) = (new List<ErrorRecord>(), Count);
            for (var number = newest; number > 0 && newest - number < MostRecent; number--)
            {
                if (Volatile.Read(ref _recent[number % MostRecent]) is { } record)
                {
                    recent.Add(record);
                }
            }

            return recent;
        }
    }

    /// <summary>Looks at the machine made so far; at most one a second.</summary>
    public long Samples => _resources.Samples;

    /// <summary>What the machine is like, at most a second old.</summary>
    public ResourceSample Resources => _resources.Current();

    /// <summary>Makes the record of a failed item and tells the log.</summary>
    public ErrorRecord Describe(ItemFailure failure) => Describe(failure, SecretsOf(failure, PlacesIn(failure)));

    /// <summary>The same, with what is needed to send the event again as it was.</summary>
    public DeadLetter Letter(ItemFailure failure)
    {
        var places = PlacesIn(failure);
        var secrets = SecretsOf(failure, places);
        return new DeadLetter(Describe(failure, secrets), failure.Headers, failure.Payload)
        {
            Key = failure.Key,
            Secrets = places,
            SecretHeaders = [.. failure.Headers.Where(h => secrets.IsIn(h.Value)).Select(h => h.Key)],
        };
    }

    /// <summary>A text about an event as it may be told.</summary>
    /// <param name="failure">The event.</param>
    /// <param name="text">What may quote it.</param>
    public string Clean(ItemFailure failure, string text) => SecretsOf(failure, PlacesIn(failure)).In(text);

    private ErrorRecord Describe(ItemFailure failure, SecretText secrets)
    {
        string Clean(string message) => Cut(secrets.In(message));
        var verdict = ErrorVerdict.Of(failure.Error);
        var now = _time.GetUtcNow();
        var number = Interlocked.Increment(ref _count);
        var record = new ErrorRecord
        {
            ErrorId = string.Create(CultureInfo.InvariantCulture, $"{now.ToUnixTimeMilliseconds():x}-{_run}-{number:x}"),
            Time = now,
            System = _origin.System,
            Version = _origin.Version,
            Component = failure.Component,
            Instance = _origin.Instance,
            Capability = failure.Capability,
            Port = failure.Port,
            Event = new ErrorEvent(failure.Id.ToString(), failure.Key is { } key ? secrets.In(key) : null, failure.Time),
            Attempt = failure.Attempt,
            Index = failure.Index,
            Code = verdict.Code,
            Message = Clean(failure.Error.Message),
            Exceptions = Chain(failure.Error, Clean),
            Retryable = verdict.Class == ErrorClass.Transient,
            TraceId = Telemetry.Tracing.Failure(failure, verdict.Code),
            Mock = failure.Mock,
            Unlocked = _origin.Unlocked,
            Resources = _resources.Current(),
        };
        Volatile.Write(ref _recent[number % MostRecent], record);
        Say(record, verdict.Class, failure.Error, secrets, now);
        return record;
    }

    public void Dispose()
    {
        _timer.Dispose();
        SayRepeated(last: true);
    }

    private void Say(ErrorRecord record, ErrorClass errorClass, Exception error, SecretText secrets, DateTimeOffset now)
    {
        var kind = new ErrorKind(record.Component, record.Capability, record.Code);
        lock (_gate)
        {
            var wasEmpty = _tally.IsEmpty;
            if (!_tally.Add(kind, now))
            {
                return;
            }

            if (wasEmpty)
            {
                _timer.Change(ErrorTally.Window, ErrorTally.Window);
            }
        }

        // An item's own refusal needs no stack; what nobody expected does.
        var unexpected = error is ItemException ? null : secrets.IsNone ? error : new MaskedException(secrets.In(error.ToString()));
        LogError(
            _log, errorClass == ErrorClass.Configuration ? LogLevel.Error : LogLevel.Warning, unexpected, record.Component, record.Code, record.Message, record.ErrorId,
            record.Event.Id, record.Attempt);
    }

    private void SayRepeated(bool last = false)
    {
        IReadOnlyList<(ErrorKind Kind, long More)> said;
        lock (_gate)
        {
            said = _tally.Take(last ? DateTimeOffset.MaxValue - ErrorTally.Window : _time.GetUtcNow());
            if (_tally.IsEmpty && !last)
            {
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }

        foreach (var (kind, more) in said)
        {
            LogRepeated(_log, kind.Component, kind.Code, more);
        }
    }

    private IReadOnlyList<string> PlacesIn(ItemFailure failure) =>
        _fields.GetOrAdd((failure.Component, failure.Port), static (at, of) => of(at.Component, at.Port), _origin.FieldsOf).In(failure.Payload);

    // The configured ones, and what the event itself holds that nobody is to see: messages quote it.
    private SecretText SecretsOf(ItemFailure failure, IReadOnlyList<string> places) =>
        places.Count == 0 ? _secrets : _secrets.And([.. SecretFields.TextsAt(failure.Payload, places)]);

    private static List<ErrorCause> Chain(Exception error, Func<string, string> clean)
    {
        var chain = new List<ErrorCause>(2);
        for (var at = error; at is not null && chain.Count < DeepestChain; at = at.InnerException)
        {
            chain.Add(new ErrorCause(at.GetType().FullName ?? at.GetType().Name, clean(at.Message)));
        }

        return chain;
    }

    private static string Cut(string message) => message.Length <= LongestMessage ? message : string.Concat(message.AsSpan(0, LongestMessage), " …");

    [LoggerMessage(EventId = 4200, Message = "{Component}: {Code}: {Error} (error {ErrorId}, event {Event}, attempt {Attempt})")]
    private static partial void LogError(
        ILogger logger, LogLevel level, Exception? exception, string component, string code, string error, string errorId, string @event, int attempt);

    [LoggerMessage(EventId = 4201, Level = LogLevel.Warning, Message = "{Component}: {Code}: {More} more like it in 10 s")]
    private static partial void LogRepeated(ILogger logger, string component, string code, long more);
}
