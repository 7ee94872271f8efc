using System.Runtime.CompilerServices;
using Loom.Cli.Status;

namespace Loom.Cli.Logs;

/// <summary>
/// All logs of a project as one stream of lines, ordered by time: <c>NAME.log</c>, and <c>NAME.err</c> where a process's stderr is kept apart.
/// </summary>
internal sealed class MergedLogs(string folder, IReadOnlyCollection<string> names, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);
    private readonly Dictionary<string, LogFile> _files = new(StringComparer.Ordinal);

    /// <summary>Names that have a log now.</summary>
    public IEnumerable<string> Names => _files.Values.Select(f => f.Name);

    /// <summary>All names with a log in <paramref name="folder"/>, sorted.</summary>
    public static IEnumerable<string> NamesIn(string folder) => Found(folder).Select(f => f.Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

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
        foreach (var (name, path, isError) in Found(folder))
        {
            if (!_files.ContainsKey(path) && (names.Count == 0 || names.Any(n => ReplicaName.Answers(name, n))))
            {
                _files.Add(path, new LogFile(name, path, isError));
            }
        }
    }

    // Also where only the rotated file is left: the next line writes the other.
    private static IEnumerable<(string Name, string Path, bool IsError)> Found(string folder)
    {
        if (!Directory.Exists(folder))
        {
            yield break;
        }

        foreach (var found in Directory.GetFiles(folder))
        {
            var path = found.EndsWith(".1", StringComparison.Ordinal) ? found[..^2] : found;
            if (Path.GetExtension(path) is ".log" or ".err" && (path == found || !File.Exists(path)))
            {
                yield return (Path.GetFileNameWithoutExtension(path), path, Path.GetExtension(path) is ".err");
            }
        }
    }
}
