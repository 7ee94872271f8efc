using System.IO.Pipelines;
using Loom.Processes.Watching;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Piping;

/// <summary>
/// stdin and stdout of one incarnation of a process that speaks with its owner. What is not read stays in the pipe, so a process that writes faster than it is
/// read waits. Dispose it when the conversation is over; the process itself is the supervisor's.
/// </summary>
public sealed class ProcessPipes : IDisposable
{
    private readonly PipeInput _input;
    private readonly PipeOutput _output;

    internal ProcessPipes(int incarnation, DescriptorLoop descriptors, SafeFileHandle input, SafeFileHandle output)
    {
        Incarnation = incarnation;
        _input = new PipeInput(descriptors, input);
        try
        {
            _output = new PipeOutput(descriptors, output);
        }
        catch
        {
            _input.Close();
            throw;
        }
    }

    /// <summary>Which life of the process this is, from 1.</summary>
    public int Incarnation { get; }

    /// <summary>What it writes to stdout; completes when nobody can write to it any more.</summary>
    public PipeReader Output => _output.Reader;

    /// <summary>Writes to stdin, waiting while the pipe is full. One call at a time; after a cancelled one the pipe may hold a part.</summary>
    /// <exception cref="IOException">The process does not read any more.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => _input.WriteAsync(bytes, cancellationToken);

    /// <summary>Ends stdin.</summary>
    public void CloseInput() => _input.Close();

    public void Dispose()
    {
        _input.Close();
        _output.Close();
    }
}
