using System.Buffers;
using Loom.Processes.Piping;

namespace Loom.Harness.Commands;

/// <summary>Lines on their way to a child: whoever has something to say writes what has gathered, and while the pipe is full the rest gathers.</summary>
/// <param name="gate">The lock of the conversation, which guards <see cref="Waiting"/> too: what is said and what is noted about it go together.</param>
/// <param name="pipes">Where the lines go.</param>
/// <param name="fail">Told of what is no end of the pipe.</param>
/// <param name="end">Gives up.</param>
internal sealed class LinePump(Lock gate, ProcessPipes pipes, Action<string> fail, CancellationToken end)
{
    private ArrayBufferWriter<byte> _waiting = new(4096);
    private ArrayBufferWriter<byte> _sending = new(4096);
    private bool _writing;

    /// <summary>Lines that gather, at most those of max_in_flight items; under the lock.</summary>
    public IBufferWriter<byte> Waiting => _waiting;

    /// <summary>Writes what has gathered, unless somebody does already.</summary>
    public void Write()
    {
        lock (gate)
        {
            if (_writing || _waiting.WrittenCount == 0)
            {
                return;
            }

            _writing = true;
        }

        var writing = WriteAsync();
        if (!writing.IsCompletedSuccessfully)
        {
            _ = writing.AsTask().ContinueWith(
                static (failed, tell) => ((Action<string>)tell!)(failed.Exception!.InnerException!.Message), fail, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private async ValueTask WriteAsync()
    {
        while (true)
        {
            lock (gate)
            {
                if (_waiting.WrittenCount == 0)
                {
                    _writing = false;
                    return;
                }

                (_waiting, _sending) = (_sending, _waiting);
            }

            try
            {
                await pipes.WriteAsync(_sending.WrittenMemory, end).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // Its last words are still read: the end of its output tells more than a broken pipe.
                lock (gate)
                {
                    _sending.ResetWrittenCount();
                    _writing = false;
                }

                return;
            }

            _sending.ResetWrittenCount();
        }
    }
}
