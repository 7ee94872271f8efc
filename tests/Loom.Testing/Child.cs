using System.Text;
using Loom.Processes.Native;
using Loom.Processes.Probes;
using Loom.Processes.Spawning;
using Loom.Processes.Watching;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Loom.Testing;

/// <summary>A child process of a test, started the way the product starts its own. Disposal kills its whole group.</summary>
public sealed class Child : IAsyncDisposable
{
    private static readonly DescriptorLoop s_descriptors = new(NullLogger.Instance);

    private readonly SpawnedChild _child;
    private readonly ExitSignal _exit = new();
    private readonly StringBuilder _text = new();

    private Child(SpawnedChild child)
    {
        _child = child;
        Collector[] streams = [new(child.Output!, _text), new(child.Error!, _text)];
        s_descriptors.Add(child.Output!, streams[0]);
        s_descriptors.Add(child.Error!, streams[1]);
        s_descriptors.Add(child.Exit, _exit);
        Exited = EndedAsync(streams);
    }

    public int Pid => _child.Pid;

    /// <summary>Completes with code or signal when it has ended and all it had written is in <see cref="Output"/>.</summary>
    public Task<(int? Code, int? Signal)> Exited { get; }

    /// <summary>All it has written so far, to either stream.</summary>
    public string Output
    {
        get
        {
            lock (_text)
            {
                return _text.ToString();
            }
        }
    }

    /// <summary>Starts a child with this process's environment and <paramref name="environment"/> over it.</summary>
    public static Child Start(string folder, string[] command, params (string Name, string Value)[] environment)
    {
        var all = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            all[(string)variable.Key] = (string?)variable.Value ?? string.Empty;
        }

        foreach (var (name, value) in environment)
        {
            all[name] = value;
        }

        return new Child(Spawner.Spawn(new SpawnRequest { Command = [.. command], WorkingDirectory = folder, Environment = all }));
    }

    public void Signal(int signal) => _ = Libc.Kill(Pid, signal);

    public async ValueTask DisposeAsync()
    {
        if (!Exited.IsCompleted)
        {
            Loom.Processes.Native.Signals.SendToGroup(Pid, Linux.SigKill);
            await Exited.ConfigureAwait(false);
        }

        Children.Reap(Pid);
    }

    // The news of its end may overtake its last words, which lie in the pipes by then. To their end the pipes are not read: a child of its own may hold them open for long.
    private async Task<(int? Code, int? Signal)> EndedAsync(Collector[] streams)
    {
        var end = await _exit.Ended.ConfigureAwait(false);
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        s_descriptors.Post(() =>
        {
            foreach (var stream in streams)
            {
                stream.ReadWhatIsThere();
            }

            read.SetResult();
        });
        await read.Task.ConfigureAwait(false);
        return end;
    }

    private sealed class Collector(SafeFileHandle pipe, StringBuilder text) : IReadable
    {
        private bool _closed;

        /// <summary>On the loop's thread: all that is in the pipe now.</summary>
        public void ReadWhatIsThere()
        {
            // A pipe holds 64 KiB; one who goes on writing is not followed.
            Span<byte> buffer = stackalloc byte[4096];
            for (var i = 0; i < 16 && !_closed && OnReadable((int)pipe.DangerousGetHandle(), buffer); i++)
            {
            }
        }

        public unsafe bool OnReadable(int descriptor, Span<byte> buffer)
        {
            nint count;
            fixed (byte* p = buffer)
            {
                count = Libc.Read(descriptor, p, (nuint)buffer.Length);
            }

            if (count <= 0)
            {
                return false;
            }

            lock (text)
            {
                text.Append(Encoding.UTF8.GetString(buffer[..(int)count]));
            }

            return true;
        }

        public void OnClosed() => _closed = true;
    }
}
