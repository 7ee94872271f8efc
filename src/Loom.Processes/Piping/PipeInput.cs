using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Loom.Processes.Watching;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Piping;

/// <summary>Write end of a child's stdin: written at once as far as it takes it, and again when the kernel says that there is room.</summary>
internal sealed class PipeInput : IReadable
{
    private readonly Lock _gate = new();
    private readonly DescriptorLoop _descriptors;
    private readonly SafeFileHandle _pipe;
    private long _id;
    private TaskCompletionSource? _room;
    private bool _closed;

    internal PipeInput(DescriptorLoop descriptors, SafeFileHandle pipe)
    {
        _descriptors = descriptors;
        _pipe = pipe;
        descriptors.Add(pipe, SetId, Interest.WritableOnce);
    }

    public bool OnReadable(int descriptor, Span<byte> buffer)
    {
        // Room, or the reader is gone: the writer finds out which by writing.
        lock (_gate)
        {
            _room?.TrySetResult();
            _room = null;
        }

        return true;
    }

    public void OnClosed()
    {
        lock (_gate)
        {
            _closed = true;
            _room?.TrySetResult();
            _room = null;
        }
    }

    internal async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            var count = Write(bytes.Span);
            bytes = bytes[count..];
            if (bytes.IsEmpty)
            {
                return;
            }

            Task room;
            lock (_gate)
            {
                if (_closed)
                {
                    continue; // the next write says so
                }

                _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                room = _room.Task;
            }

            _descriptors.Rearm(_id);
            await room.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    internal void Close() => _descriptors.Remove(_id);

    private unsafe int Write(ReadOnlySpan<byte> bytes)
    {
        var sent = 0;
        var held = false;
        try
        {
            // Held, since the loop may close the descriptor meanwhile and its number become another file's.
            _pipe.DangerousAddRef(ref held);
            fixed (byte* p = bytes)
            {
                while (sent < bytes.Length)
                {
                    var count = Libc.Write((int)_pipe.DangerousGetHandle(), p + sent, (nuint)(bytes.Length - sent));
                    if (count >= 0)
                    {
                        sent += (int)count;
                        continue;
                    }

                    switch (Marshal.GetLastPInvokeError())
                    {
                        case Linux.Interrupted:
                            continue;
                        case Linux.Again:
                            return sent;
                        default:
                            throw new IOException($"the process does not read its stdin any more: {Marshal.GetLastPInvokeErrorMessage()}");
                    }
                }
            }
        }
        catch (ObjectDisposedException)
        {
            throw new IOException("the process does not read its stdin any more: the pipe is closed");
        }
        finally
        {
            if (held)
            {
                _pipe.DangerousRelease();
            }
        }

        return sent;
    }

    // Before the first news, which may come while this is still being made.
    private IReadable SetId(long id)
    {
        _id = id;
        return this;
    }
}
