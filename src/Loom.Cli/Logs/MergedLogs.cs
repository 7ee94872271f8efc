using System.Runtime.CompilerServices;

namespace Loom.Cli.Logs;

/// <summary>All logs of a project as one stream of lines, ordered by time.</summary>
internal sealed class MergedLogs(string folder, IReadOnlyCollection<string> names, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);
    private readonly Dictionary<string, LogFile> _files = new(StringComparer.Ordinal);

    /// <summary>Names that have a log now.</summary>
    public IReadOnlyCollection<string> Names => _files.Keys;

    /// <summary>The last lines of every log, merged; the newest <paramref name="count"/> of them.</summary>
    /// <param name="count">Most lines.</param>
    /// <param name="wanted">Lines that count; null = all. Rotated files are searched too.</param>
    public IEnumerable<LogLine> Tail(int count, Func<LogLine, bool>? wanted)
    {
        Find();
        var all = _files.Values.SelectMany(f => Dated(f.Tail(count, wanted))).OrderBy(l => l.At).Select(l => l.Line).ToArray();
        return all.Length > count ? all[^count..] : all;
    }

    /// <summary>Lines as they come, until the token is cancelled.</summary>
    public async IAsyncEnumerable<LogLine> FollowAsync([EnumeratorCancellation] CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Find();
            foreach (var line in _files.Values.SelectMany(f => Dated(f.More())).OrderBy(l => l.At).Select(l => l.Line).ToArray())
            {
                yield return line;
            }

            await Task.Delay(s_look, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    // A line without a time belongs behind the one before it.
    private static IEnumerable<(DateTimeOffset At, LogLine Line)> Dated(IReadOnlyList<LogLine> lines)
    {
        var last = DateTimeOffset.MinValue;
        foreach (var line in lines)
        {
            last = line.At ?? last;
            yield return (last, line);
        }
    }

    private void Find()
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (var path in Directory.GetFiles(folder, "*.log"))
        {
            var name = Path.GetFileNameWithoutExtension(path);
            if (!_files.ContainsKey(name) && (names.Count == 0 || names.Contains(name)))
            {
                _files.Add(name, new LogFile(name, path));
            }
        }
    }
}
