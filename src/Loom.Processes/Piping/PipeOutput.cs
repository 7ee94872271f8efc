using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Loom.Processes.Watching;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Piping;

/// <summary>Read end of a child's stdout: read ahead a little, then left alone until somebody has read what is there.</summary>
internal sealed class PipeOutput : IReadable
{
    private const int ReadAtOnce = 64 * 1024;

    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 512 * 1024, resumeWriterThreshold: 256 * 1024, minimumSegmentSize: ReadAtOnce, useSynchronizationContext: false));
    private readonly DescriptorLoop _descriptors;
    private long _id;
    private bool _discards;

    internal PipeOutput(DescriptorLoop descriptors, SafeFileHandle pipe)
    {
        _descriptors = descriptors;
        descriptors.Add(pipe, SetId, Interest.ReadableOnce);
    }

    internal PipeReader Reader => _pipe.Reader;

    public unsafe bool OnReadable(int descriptor, Span<byte> buffer)
    {
        var target = _discards ? buffer : _pipe.Writer.GetSpan(ReadAtOnce);
        nint count;
        fixed (byte* p = target)
        {
            count = Libc.Read(descriptor, p, (nuint)target.Length);
        }

        if (count == 0 || (count < 0 && Marshal.GetLastPInvokeError() is not (Linux.Again or Linux.Interrupted)))
        {
            return false;
        }

        if (count < 0 || _discards)
        {
            _descriptors.RearmHere(_id);
            return true;
        }

        _pipe.Writer.Advance((int)count);
        var flushed = _pipe.Writer.FlushAsync();
        if (flushed.IsCompletedSuccessfully)
        {
            _discards = flushed.Result.IsCompleted;
            _descriptors.RearmHere(_id);
        }
        else
        {
            _ = RearmAsync(flushed);
        }

        return true;
    }

    public void OnClosed() => _pipe.Writer.Complete();

    internal void Close() => _descriptors.Remove(_id);

    private async Task RearmAsync(ValueTask<FlushResult> flushed)
    {
        _discards = (await flushed.ConfigureAwait(false)).IsCompleted;
        _descriptors.Rearm(_id);
    }

    // Before the first news, which may come while this is still being made.
    private IReadable SetId(long id)
    {
        _id = id;
        return this;
    }
}
