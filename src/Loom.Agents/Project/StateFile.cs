using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Project;

/// <summary>
/// Keeps <c>state.json</c> abreast of the supervisor: written at once after each spawn and exit, otherwise at most every 200 ms. One loop writes; a disk that
/// refuses costs freshness, not the run.
/// </summary>
internal sealed partial class StateFile : IAsyncDisposable
{
    private static readonly TimeSpan s_lazily = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_retry = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly Func<RunState> _current;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<bool> _urgent = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Channel<bool> _lazy = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Dictionary<string, (int? Pid, int Spawns, ExitInfo? Exit)> _seen = new(StringComparer.Ordinal);
    private readonly BackgroundLoop _loop;

    internal StateFile(string path, Func<RunState> current, TimeProvider time, ILogger logger)
    {
        _path = path;
        _current = current;
        _time = time;
        _logger = logger;
        current().Write(path); // before anything is spawned: the run id must be on disk first
        _loop = BackgroundLoop.Start("state file", RunAsync, logger);
    }

    /// <summary>Takes note of a change; called by the supervisor's loop.</summary>
    internal void Changed(ProcessSnapshot snapshot)
    {
        var now = (snapshot.Pid, snapshot.Spawns, snapshot.LastExit);
        var urgent = !_seen.TryGetValue(snapshot.Name, out var before) || before != now;
        _seen[snapshot.Name] = now;
        Touch(urgent);
    }

    internal void Touch(bool urgent) => (urgent ? _urgent : _lazy).Writer.TryWrite(true);

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var urgent = _urgent.Reader.WaitToReadAsync(cancellationToken).AsTask();
            var lazy = _lazy.Reader.WaitToReadAsync(cancellationToken).AsTask();
            if (await Task.WhenAny(urgent, lazy).ConfigureAwait(false) == lazy && !urgent.IsCompleted)
            {
                await Task.WhenAny(urgent, Task.Delay(s_lazily, _time, cancellationToken)).ConfigureAwait(false);
            }

            cancellationToken.ThrowIfCancellationRequested();
            _ = _urgent.Reader.TryRead(out _);
            _ = _lazy.Reader.TryRead(out _);
            try
            {
                _current().Write(_path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                LogRefused(_logger, _path, e.Message);
                await Task.Delay(s_retry, _time, cancellationToken).ConfigureAwait(false);
                Touch(urgent: true);
            }
        }
    }

    [LoggerMessage(EventId = 3001, Level = LogLevel.Warning, Message = "cannot write '{Path}': {Reason}. 'loom down' and 'loom status' see an old state until it works again")]
    private static partial void LogRefused(ILogger logger, string path, string reason);
}
