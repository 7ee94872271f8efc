using System.Buffers;
using System.Collections.Concurrent;
using Loom.Core.Loops;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Errors;

/// <summary>
/// Where events go that could not be processed and whose component has no error port. A letter survives <c>kill -9</c> once it is taken, and a power cut within a
/// second or with the next checkpoint, whichever comes first. Nothing is dropped: where it cannot be written, taking it waits, and <see cref="Trouble"/> says why.
/// </summary>
internal sealed partial class DeadLetters : IAsyncDisposable
{
    private const int MostCodes = 100;
    private static readonly TimeSpan s_flushEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_tryAgain = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly HashSet<string> _unflushed = new(StringComparer.Ordinal);
    private readonly DeadLetterFiles _files;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly BackgroundLoop _loop;
    private readonly Dictionary<string, string> _trouble = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _codes = new(StringComparer.Ordinal);
    private long _taken;

    /// <param name="files">Where.</param>
    /// <param name="time">Clock.</param>
    /// <param name="log">Told when letters cannot be written, and when they can again.</param>
    public DeadLetters(DeadLetterFiles files, TimeProvider time, ILogger log)
    {
        (_files, _time, _log) = (files, time, log);
        _loop = BackgroundLoop.Start("dead letters", FlushLoopAsync, log);
    }

    /// <summary>Letters taken by this run.</summary>
    public long Taken => Interlocked.Read(ref _taken);

    /// <summary>Letters taken by this run, by code of their error; beyond a hundred codes the rest counts as <c>other</c>.</summary>
    public IReadOnlyDictionary<string, long> Codes => _codes;

    /// <summary>Why letters cannot be written now; null = they can. Health is unhealthy meanwhile, and the components that have one wait.</summary>
    public string? Trouble
    {
        get
        {
            lock (_gate)
            {
                return _trouble.Count == 0 ? null : _trouble.First().Value;
            }
        }
    }

    /// <summary>Takes a letter; returns once it is written. While that is impossible it waits and tries again every second, and its component reads nothing.</summary>
    public async ValueTask TakeAsync(DeadLetter letter, CancellationToken ct)
    {
        var line = DeadLetterLine.Of(letter);
        var component = letter.Record.Component;
        while (true)
        {
            try
            {
                await _files.AppendAsync(component, line.WrittenMemory, ct).ConfigureAwait(false);
                Interlocked.Increment(ref _taken);
                var code = letter.Record.Code;
                _codes.AddOrUpdate(_codes.ContainsKey(code) || _codes.Count < MostCodes ? code : "other", 1, static (_, n) => n + 1);
                Done(component);
                return;
            }
            catch (Exception e) when (IsTrouble(e))
            {
                Failed(component, e.Message);
            }

            await Task.Delay(s_tryAgain, _time, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Brings all letters taken so far to the disk; called before a checkpoint's manifest is written, since the checkpoint says that their events are done.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public async ValueTask FlushAsync(CancellationToken ct)
    {
        string[] components;
        lock (_gate)
        {
            components = [.. _unflushed];
            _unflushed.Clear();
        }

        if (components.Length == 0)
        {
            return;
        }

        try
        {
            await _files.FlushAsync(components, ct).ConfigureAwait(false);
        }
        catch
        {
            lock (_gate)
            {
                _unflushed.UnionWith(components);
            }

            throw;
        }
    }

    /// <summary>Sends letters again, each to the port it failed on, and crosses out those that are done with.</summary>
    /// <param name="component">Only of this one; null = all.</param>
    /// <param name="errorIds">Only these; null = all.</param>
    /// <param name="send">Puts events into the inputs of their components and says which letters are done with for good; the others stay.</param>
    /// <param name="ct">Stops after the letters in hand.</param>
    public async Task<RetryReport> RetryAsync(
        string? component, IReadOnlySet<string>? errorIds, Func<IReadOnlyList<DeadLetter>, CancellationToken, ValueTask<IReadOnlyCollection<string>>> send, CancellationToken ct)
    {
        var (sent, refused) = (0L, 0L);
        foreach (var name in component is null ? _files.Components() : [component])
        {
            // A letter that fails again is a new letter at the end; this pass ends with those that were there when it began.
            foreach (var some in InParts(new DeadLetterReader(_files, name).Read().Where(l => errorIds?.Contains(l.Record.ErrorId) != false)))
            {
                ct.ThrowIfCancellationRequested();
                var done = await send(some, ct).ConfigureAwait(false);
                sent += done.Count;
                refused += some.Count - done.Count;
                if (done.Count > 0)
                {
                    await CrossOutAsync(name, done).ConfigureAwait(false);
                }
            }

            // A damaged line may be a letter: its file stays until it is purged.
            await _files.RemoveAsync([name], c => HoldsAny(c), ct).ConfigureAwait(false);
        }

        return new RetryReport(sent, refused);
    }

    private async Task CrossOutAsync(string component, IReadOnlyCollection<string> ids)
    {
        var marks = new ArrayBufferWriter<byte>(128 * ids.Count);
        foreach (var id in ids)
        {
            DeadLetterLine.WriteRetried(id, _time.GetUtcNow(), marks);
        }

        await _files.AppendAsync(component, marks.WrittenMemory, CancellationToken.None).ConfigureAwait(false);
        Done(component);
    }

    // So many at once that a checkpoint for each part costs little, and so few that they lie in memory.
    private static IEnumerable<IReadOnlyList<DeadLetter>> InParts(IEnumerable<DeadLetter> letters)
    {
        const int MostLetters = 1000, MostCharacters = 8 << 20;
        var (part, characters) = (new List<DeadLetter>(), 0);
        foreach (var letter in letters)
        {
            part.Add(letter);
            characters += letter.Payload.GetRawText().Length;
            if (part.Count >= MostLetters || characters >= MostCharacters)
            {
                yield return part;
                (part, characters) = ([], 0);
            }
        }

        if (part.Count > 0)
        {
            yield return part;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync().ConfigureAwait(false);
        try
        {
            await FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (IsTrouble(e))
        {
            LogNotFlushed(_log, e.Message);
        }
    }

    // Whatever it is, the letter is not written, and a person can mend it while the component waits.
    private static bool IsTrouble(Exception e) => e is not (OperationCanceledException or OutOfMemoryException);

    private bool HoldsAny(string component)
    {
        var reader = new DeadLetterReader(_files, component);
        return reader.Read().Any() || reader.Damaged.Count > 0;
    }

    private void Done(string component)
    {
        bool healed;
        lock (_gate)
        {
            _unflushed.Add(component);
            healed = _trouble.Remove(component);
        }

        if (healed)
        {
            LogHealed(_log, component);
        }
    }

    private void Failed(string component, string why)
    {
        bool isNew;
        lock (_gate)
        {
            isNew = !_trouble.TryGetValue(component, out var before) || before != why;
            _trouble[component] = why;
        }

        if (isNew)
        {
            LogTrouble(_log, component, why);
        }
    }

    private async Task FlushLoopAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(s_flushEvery, _time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
        {
            try
            {
                await FlushAsync(stop).ConfigureAwait(false);
            }
            catch (Exception e) when (IsTrouble(e))
            {
                LogNotFlushed(_log, e.Message);
            }
        }
    }

    [LoggerMessage(EventId = 4210, Level = LogLevel.Error, Message = "a dead letter of {Component} cannot be written, so it reads nothing until it can: {Why}")]
    private static partial void LogTrouble(ILogger logger, string component, string why);

    [LoggerMessage(EventId = 4211, Level = LogLevel.Information, Message = "dead letters of {Component} can be written again")]
    private static partial void LogHealed(ILogger logger, string component);

    [LoggerMessage(EventId = 4212, Level = LogLevel.Warning, Message = "dead letters could not be flushed to disk; the next second tries again: {Why}")]
    private static partial void LogNotFlushed(ILogger logger, string why);
}

/// <summary>The system's own error destination: every failure becomes a record and a dead letter.</summary>
internal sealed class DeadLetterDestination(ConsistentErrorHandler errors, DeadLetters letters) : IErrorDestination
{
    public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct) =>
        letters.TakeAsync(errors.Letter(failure), ct);

    public ValueTask FlushAsync(CancellationToken ct) => letters.FlushAsync(ct);
}

/// <summary>What a retry did.</summary>
/// <param name="Sent">Letters sent again.</param>
/// <param name="Refused">Letters that could not be sent; they are still there.</param>
internal sealed record RetryReport(long Sent, long Refused);
