using System.Collections.Immutable;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Logs;

/// <summary>Everything captured from one supervised process over all its incarnations: files, last lines and listeners.</summary>
internal sealed partial class ChildLog : IDisposable
{
    private static readonly TimeSpan s_noticeEvery = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly string _name;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LogFile _output;
    private readonly LogFile _error;
    private readonly LineRing _ring = new();
    private readonly Action<LogLine>? _publish;
    private Func<string, bool>? _watch;
    private long? _noticedAt;
    private bool _closed;

    internal ChildLog(ProcessPlan plan, TimeProvider time, ILogger logger, Action<LogLine>? publish)
    {
        _name = plan.Name;
        _time = time;
        _logger = logger;
        _publish = publish;
        Options = plan.Log;
        _output = new LogFile(plan.LogPath, plan.Name, plan.Log, time);
        _error = plan.ErrorLogPath is null || plan.ErrorLogPath == plan.LogPath ? _output : new LogFile(plan.ErrorLogPath, plan.Name, plan.Log, time);
    }

    internal LogOptions Options { get; }

    /// <summary>Passes each coming line to <paramref name="watch"/> until that returns true.</summary>
    internal void Watch(Func<string, bool>? watch)
    {
        lock (_gate)
        {
            _watch = watch;
        }
    }

    internal ImmutableArray<string> Tail(int count) => _ring.Last(count);

    internal void Add(ReadOnlySpan<byte> line, bool isError)
    {
        var now = _time.GetUtcNow();
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            (isError ? _error : _output).Append(line, isError ? LineSource.Error : LineSource.Output, now);
            _ring.Add(line);
            if (_watch is null && _publish is null)
            {
                return;
            }

            if (_watch?.Invoke(Encoding.UTF8.GetString(Ansi.Strip(line)).TrimEnd('\r')) == true)
            {
                _watch = null;
            }

            _publish?.Invoke(new LogLine(_name, isError, now, Encoding.UTF8.GetString(line).TrimEnd('\r')));
        }
    }

    internal void Flush(bool isError)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            var file = isError ? _error : _output;
            file.Flush();
            if (file.Trouble is { } trouble && (_noticedAt is not { } at || _time.GetElapsedTime(at) >= s_noticeEvery))
            {
                _noticedAt = _time.GetTimestamp();
                LogTrouble(_logger, _name, trouble, file.Lost);
            }
        }
    }

    internal void Reopen()
    {
        lock (_gate)
        {
            _output.Reopen();
            _error.Reopen();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            _output.Dispose();
            if (!ReferenceEquals(_error, _output))
            {
                _error.Dispose();
            }
        }
    }

    [LoggerMessage(EventId = 2010, Level = LogLevel.Warning, Message = "output of {Name} is not kept ({Lost} lines lost so far): {Trouble}. The process goes on; free space and it resumes by itself")]
    private static partial void LogTrouble(ILogger logger, string name, string trouble, long lost);
}
