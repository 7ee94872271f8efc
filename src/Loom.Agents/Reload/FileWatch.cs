using Loom.Core.Loops;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Reload;

/// <summary>
/// Tells of changed files below one path: by inotify while that works, else by a look each second. It stops working when the user's watches run out. The kernel
/// watches a folder, not its name: when another one takes its place, as a branch checked out may do, that one is watched, and what it holds has changed.
/// </summary>
internal sealed class FileWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly WatchFilter _filter;
    private readonly Action<string> _changed;
    private readonly Action<string, string> _polls;
    private readonly TimeProvider _time;
    private readonly BackgroundLoop _loop;
    private FileSystemWatcher? _kernel;
    private (string Folder, FileIdentity? Identity) _armed;
    private volatile string? _whyNotKernel;

    /// <param name="path">Absolute file or folder.</param>
    /// <param name="filter">Which files count.</param>
    /// <param name="changed">Called from any thread with the absolute path of each changed file.</param>
    /// <param name="polls">Called once, with the path and why, when it has to look by itself.</param>
    /// <param name="time">Clock of the looks.</param>
    /// <param name="logger">Where a failed watch is reported.</param>
    /// <param name="kernel">False: do not try inotify.</param>
    internal FileWatch(string path, WatchFilter filter, Action<string> changed, Action<string, string> polls, TimeProvider time, ILogger logger, bool kernel = true)
    {
        _path = path;
        _filter = filter;
        _changed = changed;
        _polls = polls;
        _time = time;
        _armed = Now();
        if (kernel)
        {
            TryKernel();
        }
        else
        {
            _whyNotKernel = "not asked to";
        }

        _loop = BackgroundLoop.Start($"watch {path}", LookAsync, logger);
    }

    /// <summary>Whether the kernel tells; else it is looked for each second.</summary>
    internal bool ByKernel => _whyNotKernel is null;

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync().ConfigureAwait(false);
        _kernel?.Dispose();
    }

    /// <summary>The folder that tells of the path, and which one that is just now: the path itself, or what holds it.</summary>
    private (string Folder, FileIdentity? Identity) Now()
    {
        var folder = Directory.Exists(_path) ? _path : Path.GetDirectoryName(_path)!;
        return (folder, FileIdentity.Of(folder));
    }

    private void TryKernel()
    {
        _kernel?.Dispose();
        _kernel = null;
        if (_armed.Identity is null)
        {
            return; // the next look may find it
        }

        try
        {
            _kernel = new FileSystemWatcher(_armed.Folder)
            {
                IncludeSubdirectories = _armed.Folder == _path,
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Size | NotifyFilters.CreationTime,
            };
            _kernel.Changed += (_, e) => Told(e.FullPath);
            _kernel.Created += (_, e) => Told(e.FullPath);
            _kernel.Deleted += (_, e) => Told(e.FullPath);
            _kernel.Renamed += (_, e) =>
            {
                Told(e.OldFullPath);
                Told(e.FullPath);
            };
            _kernel.Error += (_, e) => GiveUp(e.GetException());
            _kernel.EnableRaisingEvents = true;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            if (Directory.Exists(_armed.Folder))
            {
                GiveUp(e);
            }
            else
            {
                _armed = default; // gone under our hands: whatever comes is another one
            }
        }
    }

    /// <summary>Watches what is there now, if that is another folder than before.</summary>
    private void FollowFolder()
    {
        var now = Now();
        if (now == _armed)
        {
            return;
        }

        _armed = now;
        TryKernel();
        if (now.Folder == _path)
        {
            TellAll(string.Empty);
        }
        else if (File.Exists(_path))
        {
            Tell(_path, Path.GetFileName(_path));
        }
    }

    private void GiveUp(Exception error)
    {
        if (error is InternalBufferOverflowException)
        {
            _changed(_path); // too many at once to name them: something has changed
        }
        else
        {
            _whyNotKernel ??= error.Message;
        }
    }

    private void Told(string path)
    {
        if (!ByKernel)
        {
            return; // the looks tell it
        }

        if (path == _path)
        {
            Tell(path, Path.GetFileName(path));
        }
        else if (path.Length > _path.Length && path.StartsWith(_path, StringComparison.Ordinal) && path[_path.Length] == '/')
        {
            var relative = path[(_path.Length + 1)..];
            if (!Directory.Exists(path))
            {
                Tell(path, relative);
            }
            else if (!relative.Split('/').Any(part => WatchFilter.IsNever(part)))
            {
                // What came with a folder moved in, or was made before the kernel watched it, is told of by nobody else.
                TellAll(relative);
            }
        }
    }

    private void TellAll(string below)
    {
        foreach (var file in FilePoll.Files(_path, below, _filter))
        {
            _changed(Path.Combine(_path, file));
        }
    }

    private void Tell(string path, string relative)
    {
        if (_filter.Counts(relative))
        {
            _changed(path);
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        FilePoll? poll = null;
        while (true)
        {
            if (ByKernel)
            {
                FollowFolder();
            }

            if (_whyNotKernel is { } why && poll is null)
            {
                _polls(_path, why);
                poll = new FilePoll(_path, _filter);
            }

            foreach (var file in poll?.Look() ?? [])
            {
                _changed(file == Path.GetFileName(_path) && File.Exists(_path) ? _path : Path.Combine(_path, file));
            }

            await Task.Delay(s_look, _time, cancellationToken).ConfigureAwait(false);
        }
    }
}
