using System.Text;

namespace Loom.Processes.Logs;

/// <summary>A rotated log that several threads write to, for the output of Loom itself. A full disk loses lines, counted and said, and blocks nobody.</summary>
public sealed class SharedLog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly LogFile _file;
    private readonly TimeProvider _time;

    /// <summary>Opens a log; its folder must exist.</summary>
    public SharedLog(string path, LogOptions options, TimeProvider time)
    {
        _file = new LogFile(path, "loom", options, time);
        _time = time;
    }

    /// <summary>Appends a line, on disk when the call returns.</summary>
    public void Write(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line);
        lock (_gate)
        {
            _file.Append(bytes, LineSource.Loom, _time.GetUtcNow());
            _file.Flush();
        }
    }

    /// <summary>Closes the file; the next line opens what then has its name.</summary>
    public void Reopen()
    {
        lock (_gate)
        {
            _file.Reopen();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _file.Dispose();
        }
    }
}
