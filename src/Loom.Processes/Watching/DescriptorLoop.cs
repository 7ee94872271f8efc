using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Watching;

/// <summary>Something that is told when its descriptor has news. Called on the loop's thread: be short, never block.</summary>
internal interface IReadable
{
    /// <summary>The descriptor is readable, ended or was taken out.</summary>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="buffer">Scratch space, the loop's own.</param>
    /// <returns>False when it is done with: the loop then takes it out and closes it.</returns>
    bool OnReadable(int descriptor, Span<byte> buffer);

    /// <summary>The descriptor has been taken out and closed; the last call.</summary>
    void OnClosed();
}

/// <summary>What a descriptor is watched for.</summary>
internal enum Interest : uint
{
    /// <summary>Told as long as it is readable.</summary>
    Readable = 0x1,

    /// <summary>Told once, then silent until it is rearmed.</summary>
    ReadableOnce = 0x1 | (1u << 30),

    /// <summary>The same for room to write.</summary>
    WritableOnce = 0x4 | (1u << 30),
}

/// <summary>One thread that waits for the exit of all children and for all their output: no thread per child, and no wait that outlives a child.</summary>
internal sealed unsafe partial class DescriptorLoop : IDisposable
{
    private const int Batch = 64;
    private const int AddEntry = 1;
    private const int ChangeEntry = 3;

    // The kernel packs this record on x86-64 only.
    private static readonly bool s_packed = RuntimeInformation.ProcessArchitecture == Architecture.X64;
    private static readonly int s_eventSize = s_packed ? 12 : 16;
    private static readonly int s_dataAt = s_packed ? 4 : 8;

    private readonly SafeFileHandle _epoll = Libc.EpollCreate(Linux.Cloexec);
    private readonly SafeFileHandle _wake = Libc.EventDescriptor(0, Linux.Cloexec | Linux.NonBlock);
    private readonly ConcurrentDictionary<long, (SafeFileHandle Handle, IReadable Sink, Interest Interest)> _entries = new();
    private readonly ConcurrentQueue<Action> _requests = new();
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private long _lastId;
    private volatile bool _stopping;

    internal DescriptorLoop(ILogger logger)
    {
        if (_epoll.IsInvalid || _wake.IsInvalid)
        {
            throw new IOException($"cannot watch children: epoll or eventfd: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        _logger = logger;
        Control(AddEntry, _wake, 0, Interest.Readable);
        _thread = new Thread(Run) { IsBackground = true, Name = "loom-children" };
        _thread.Start();
    }

    /// <summary>Descriptors watched now.</summary>
    internal int Count => _entries.Count;

    /// <summary>Watches a descriptor; the loop owns it from here and closes it.</summary>
    /// <returns>Its number, for <see cref="Remove"/>.</returns>
    /// <exception cref="IOException">It cannot be watched; it stays the caller's.</exception>
    internal long Add(SafeFileHandle handle, IReadable sink, Interest interest = Interest.Readable) => Add(handle, _ => sink, interest);

    /// <summary>The same for a sink that needs its number, which it is given before anything is told to it.</summary>
    internal long Add(SafeFileHandle handle, Func<long, IReadable> sink, Interest interest)
    {
        var id = Interlocked.Increment(ref _lastId);
        _entries[id] = (handle, sink(id), interest);
        try
        {
            Control(AddEntry, handle, id, interest);
        }
        catch (IOException)
        {
            _entries.TryRemove(id, out _);
            throw;
        }

        return id;
    }

    /// <summary>Takes a descriptor out and closes it, on the loop's thread; nothing happens if it is already out.</summary>
    internal void Remove(long id) => Post(() => Close(id));

    /// <summary>The same at once, for one who is on the loop's thread.</summary>
    internal void RemoveHere(long id) => Close(id);

    /// <summary>Watches again a descriptor that is told of once; nothing happens if it is already out.</summary>
    internal void Rearm(long id) => Post(() => RearmHere(id));

    /// <summary>The same at once, for one who is on the loop's thread.</summary>
    internal void RearmHere(long id)
    {
        if (_entries.TryGetValue(id, out var entry))
        {
            Control(ChangeEntry, entry.Handle, id, entry.Interest);
        }
    }

    /// <summary>Runs <paramref name="action"/> on the loop's thread; after the loop's end nothing happens.</summary>
    internal void Post(Action action)
    {
        _requests.Enqueue(action);
        Wake();
    }

    /// <summary>Ends the thread and closes every descriptor; returns when that is done, or at once on the loop's own thread, which then ends after its present task.</summary>
    public void Dispose()
    {
        _stopping = true;
        Wake();
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join(); // on itself it would wait for ever
        }
    }

    private void Wake()
    {
        // A timer may post after the end: the number of the descriptor could then be another file's.
        var held = false;
        try
        {
            _wake.DangerousAddRef(ref held);
            var one = 1L;
            _ = Libc.Write((int)_wake.DangerousGetHandle(), (byte*)&one, sizeof(long));
        }
        catch (ObjectDisposedException)
        {
        }
        finally
        {
            if (held)
            {
                _wake.DangerousRelease();
            }
        }
    }

    private void Control(int operation, SafeFileHandle handle, long id, Interest interest)
    {
        var change = stackalloc byte[16];
        *(uint*)change = (uint)interest;
        BinaryPrimitives.WriteInt64LittleEndian(new Span<byte>(change + s_dataAt, 8), id);
        if (Libc.EpollControl(_epoll, operation, (int)handle.DangerousGetHandle(), change) != 0)
        {
            throw new IOException($"cannot watch a descriptor: epoll_ctl: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    private void Run()
    {
        var buffer = new byte[64 * 1024];
        var events = stackalloc byte[Batch * 16];
        while (!_stopping)
        {
            var count = Libc.EpollWait(_epoll, events, Batch, -1);
            for (var i = 0; i < count; i++)
            {
                var id = BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(events + (i * s_eventSize) + s_dataAt, 8));
                if (id == 0)
                {
                    long drained;
                    _ = Libc.Read((int)_wake.DangerousGetHandle(), (byte*)&drained, sizeof(long));
                }
                else
                {
                    Serve(id, buffer);
                }
            }

            while (_requests.TryDequeue(out var request))
            {
                request();
            }
        }

        foreach (var id in _entries.Keys)
        {
            Close(id);
        }

        _wake.Dispose();
        _epoll.Dispose();
    }

    private void Serve(long id, byte[] buffer)
    {
        if (!_entries.TryGetValue(id, out var entry))
        {
            return;
        }

        try
        {
            if (entry.Sink.OnReadable((int)entry.Handle.DangerousGetHandle(), buffer))
            {
                return;
            }
        }
        catch (Exception e)
        {
            // One child's fault must not end the watch over all others.
            LogFault(_logger, e);
        }

        Close(id);
    }

    private void Close(long id)
    {
        if (_entries.TryRemove(id, out var entry))
        {
            entry.Handle.Dispose();
            entry.Sink.OnClosed();
        }
    }

    [LoggerMessage(EventId = 2001, Level = LogLevel.Error, Message = "reading from a child failed; its output is not captured from here on")]
    private static partial void LogFault(ILogger logger, Exception error);
}
