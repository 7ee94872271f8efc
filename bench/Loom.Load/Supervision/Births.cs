using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Loom.Load.Supervision;

/// <summary>A named pipe to which each worker writes its name and pid as its first act: the moment it runs, told the same way under every contender.</summary>
internal sealed class Births : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly FileStream _pipe;
    private readonly Thread _reader;
    private readonly BlockingCollection<(string Name, int Pid, long At, DateTime Wall)> _seen = [];

    public Births(string folder)
    {
        Path = System.IO.Path.Combine(folder, "births");
        Contender.Run("mkfifo", [Path], folder, []);
        // Opened both ways: the pipe then never ends, and no writer waits for a reader.
        _pipe = new FileStream(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        _reader = new Thread(Read) { IsBackground = true };
        _reader.Start();
    }

    public string Path { get; }

    /// <summary>Wall clock at the last birth that was waited for.</summary>
    public DateTime LastAt { get; private set; }

    /// <summary>A worker that tells its birth and then sleeps until it is ended.</summary>
    public Worker Sleeper(string name) => new(name, $"echo {name} $$ > {Path}; exec sleep 100000");

    /// <summary>Waits for that many births.</summary>
    /// <returns>Pids by name, and the timestamp of the last one.</returns>
    public (Dictionary<string, int> Pids, long Last) Wait(int count)
    {
        var pids = new Dictionary<string, int>(StringComparer.Ordinal);
        long last = 0;
        while (count-- > 0)
        {
            if (!_seen.TryTake(out var birth, s_patience))
            {
                throw new TimeoutException($"{count + 1} workers have not started within {s_patience.TotalSeconds:0} s");
            }

            pids[birth.Name] = birth.Pid;
            last = birth.At;
            LastAt = birth.Wall;
        }

        return (pids, last);
    }

    /// <summary>Forgets what came unasked.</summary>
    public void Clear()
    {
        while (_seen.TryTake(out _))
        {
        }
    }

    public void Dispose()
    {
        File.WriteAllText(Path, "end 0\n");
        _reader.Join();
        _pipe.Dispose();
        File.Delete(Path);
    }

    private void Read()
    {
        var buffer = new byte[4096];
        var rest = "";
        while (true)
        {
            var count = _pipe.Read(buffer);
            var now = Stopwatch.GetTimestamp();
            var wall = DateTime.UtcNow;
            var lines = (rest + Encoding.ASCII.GetString(buffer, 0, count)).Split('\n');
            rest = lines[^1];
            foreach (var words in lines[..^1].Select(l => l.Split(' ')))
            {
                if (words[0] == "end")
                {
                    return;
                }

                _seen.Add((words[0], int.Parse(words[1], CultureInfo.InvariantCulture), now, wall));
            }
        }
    }
}
