using System.Collections.Immutable;
using System.Threading.Channels;
using Loom.Core.Handoff;
using Loom.Core.Loops;
using Loom.Core.Storage;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Handoff;

/// <summary>
/// Watches the handoff folder: the single owner of what is known of its files. It looks at each interval, and at once when told that something changed.
/// Lifecycle: construct, <see cref="Start"/> once, dispose.
/// </summary>
public sealed partial class HandoffWatcher : IAsyncDisposable
{
    private static readonly TimeSpan s_breath = TimeSpan.FromMilliseconds(50);
    private readonly IHandoffFolder _folder;
    private readonly IHandoffTarget _target;
    private readonly HandoffOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Action<string>? _judged;
    private readonly Channel<bool> _hints = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private ImmutableSortedDictionary<string, HandoffFile> _files = ImmutableSortedDictionary.Create<string, HandoffFile>(StringComparer.Ordinal);
    private BackgroundLoop? _loop;
    private volatile string? _trouble;

    /// <summary>Makes it; nothing is looked at yet.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="target">Who takes engines over.</param>
    /// <param name="options">How often, and whether files are deleted.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Told of every file that is taken or refused.</param>
    /// <param name="judged">Called after each look at a file with <c>registered</c>, <c>quarantined</c>, or <c>retried</c> when it could not be read or taken yet; null = nobody counts.</param>
    public HandoffWatcher(IHandoffFolder folder, IHandoffTarget target, HandoffOptions options, TimeProvider time, ILogger logger, Action<string>? judged = null)
    {
        _folder = folder;
        _target = target;
        _options = options;
        _time = time;
        _logger = logger;
        _judged = judged;
    }

    /// <summary>Why the folder cannot be watched now; null while all is well. For health.</summary>
    public string? Trouble => _loop?.Fault is { } fault ? $"the handoff folder is not watched any more: {fault.Message}" : _trouble;

    /// <summary>Begins to watch.</summary>
    public void Start() => _loop = BackgroundLoop.Start("handoff watcher", RunAsync, _logger);

    /// <summary>Something in the folder has changed: look now instead of at the next interval.</summary>
    public void Hint() => _hints.Writer.TryWrite(true);

    public async ValueTask DisposeAsync()
    {
        if (_loop is not null)
        {
            await _loop.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Looks once.</summary>
    internal void Scan()
    {
        IReadOnlyList<(string Name, FileFacts Facts)> found;
        try
        {
            found = _folder.List();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Troubled($"the handoff folder {_options.Folder} cannot be read: {e.Message}");
            return;
        }

        string? trouble = null;
        // What is gone is forgotten: the same content written anew is a new wish. Nothing stops for it.
        _files = _files.RemoveRange(_files.Keys.Except(found.Select(f => f.Name), StringComparer.Ordinal).ToList());
        foreach (var (name, facts) in found)
        {
            try
            {
                Look(name, facts);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                trouble = $"the handoff file {name} in {_options.Folder} cannot be handled: {e.Message}";
            }
        }

        Troubled(trouble);
    }

    private async Task RunAsync(CancellationToken stop)
    {
        while (true)
        {
            Scan();
            using var pause = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var interval = Task.Delay(_options.Interval, _time, pause.Token);
            await Task.WhenAny(interval, _hints.Reader.WaitToReadAsync(pause.Token).AsTask()).ConfigureAwait(false);
            await pause.CancelAsync().ConfigureAwait(false);
            await Task.Delay(s_breath, _time, stop).ConfigureAwait(false); // somebody who writes without pause must not keep a core busy here
            _hints.Reader.TryRead(out _);
        }
    }

    private void Look(string name, FileFacts facts)
    {
        var known = _files.GetValueOrDefault(name);
        if (known is { Refused: true } && known.Facts == facts)
        {
            return;
        }

        if (HandoffPolicy.Refusal(facts, _target.Surroundings.User) is { } refusal)
        {
            Refuse(name, facts, refusal);
            return;
        }

        if (HandoffFile.MustRead(known, facts) && !Read(name, facts, known))
        {
            return;
        }

        if (_options.AutoDelete && _files.GetValueOrDefault(name) is { Taken: { } taken } && _target.IsReady(taken))
        {
            // One that replaced it in the meantime is a new wish: it stays, unread, for the next scan.
            if (_folder.Delete(name, facts))
            {
                _files = _files.Remove(name);
            }
        }
    }

    /// <returns>Whether the file is one that was taken.</returns>
    private bool Read(string name, FileFacts facts, HandoffFile? known)
    {
        if (_folder.Read(name) is not { } content)
        {
            return false;
        }

        var sha256 = HandoffFolder.Checksum(content);
        if (known is { Taken: not null } && known.Sha256 == sha256)
        {
            _files = _files.SetItem(name, known with { Facts = facts }); // touched, not rewritten
            return true;
        }

        var reading = HandoffReader.Read(content);
        if (reading.Document is not { } document)
        {
            var bad = HandoffFile.Bad(known, facts, sha256, _time.GetTimestamp());
            _files = _files.SetItem(name, bad);
            if (bad.PatienceIsOver(_time.GetElapsedTime(bad.BadSince)))
            {
                Refuse(name, facts, reading.Trouble!);
            }
            else
            {
                _judged?.Invoke("retried");
            }

            return false;
        }

        if (HandoffPolicy.Refusal(document, _target.Surroundings) is { } refusal)
        {
            Refuse(name, facts, refusal);
            return false;
        }

        if (!_target.Take(document))
        {
            _judged?.Invoke("retried");
            return false; // still unknown, so the next scan reads it again
        }

        _files = _files.SetItem(name, new HandoffFile { Facts = facts, Sha256 = sha256, Taken = document });
        _judged?.Invoke("registered");
        LogTaken(_logger, name, document.State!, $"{document.PoolId}/{document.ReplicaId}");
        return true;
    }

    private void Refuse(string name, FileFacts facts, string reason)
    {
        _files = _files.SetItem(name, new HandoffFile { Facts = facts, Refused = true });
        LogRefused(_logger, name, reason);
        if (_folder.Quarantine(name, facts, reason))
        {
            _judged?.Invoke("quarantined");
        }

        _files = _files.Remove(name);
    }

    private void Troubled(string? trouble)
    {
        if (trouble is not null && _trouble != trouble)
        {
            LogTrouble(_logger, trouble);
        }

        _trouble = trouble;
    }

    [LoggerMessage(EventId = 350, Level = LogLevel.Information, Message = "handoff file {File} ({State}) taken over as {Replica}")]
    private static partial void LogTaken(ILogger logger, string file, string state, string replica);

    [LoggerMessage(EventId = 351, Level = LogLevel.Warning, Message = "handoff file {File} refused, it goes into quarantine: {Reason}")]
    private static partial void LogRefused(ILogger logger, string file, string reason);

    [LoggerMessage(EventId = 352, Level = LogLevel.Warning, Message = "{Trouble}; tried again at each scan")]
    private static partial void LogTrouble(ILogger logger, string trouble);
}
