using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Spawning;

/// <summary>What one spawn needs, with nothing left to decide.</summary>
internal sealed record SpawnRequest
{
    internal required ImmutableArray<string> Command { get; init; }

    internal required string WorkingDirectory { get; init; }

    internal required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>True: it leads a group of its own in our session and has our three streams; false: it leads a session of its own.</summary>
    internal bool OurTerminal { get; init; }

    /// <summary>Descriptors it may have; null = as many as we.</summary>
    internal int? OpenFiles { get; init; }

    /// <summary>Folder of the cgroup it begins in; null = ours. Only for an environment that <see cref="Shim.Keeps"/>.</summary>
    internal string? Cgroup { get; init; }

    /// <summary>Its priority, -20 to 19; null = ours.</summary>
    internal int? Nice { get; init; }

    /// <summary>True: the child reads from a pipe whose write end is <see cref="SpawnedChild.Input"/>; false: from /dev/null.</summary>
    internal bool PipeInput { get; init; }

    /// <summary>With <see cref="PipeInput"/>: what stands in the pipe before the child exists, as far as there is room: see <see cref="SpawnedChild.InputTaken"/>.</summary>
    internal ReadOnlyMemory<byte> FirstInput { get; init; }

    /// <summary>True: stdout and stderr are pipes; false: both go to <see cref="OutputFile"/>.</summary>
    internal bool PipeOutput { get; init; } = true;

    /// <summary>Without pipes: where stdout and stderr are appended; created for its owner alone.</summary>
    internal string OutputFile { get; init; } = "/dev/null";
}

/// <summary>A child just started, leader of its own group and, unless it shares our terminal, of its own session: pid, group id and session id are then one number.</summary>
internal sealed class SpawnedChild(ProcessIdentity identity, SafeFileHandle exit, SafeFileHandle? input, SafeFileHandle? output, SafeFileHandle? error) : IDisposable
{
    internal ProcessIdentity Identity { get; } = identity;

    internal int Pid => Identity.Pid;

    /// <summary>pidfd: readable once the child has ended.</summary>
    internal SafeFileHandle Exit { get; } = exit;

    /// <summary>Write end of the child's stdin, non-blocking, or null.</summary>
    internal SafeFileHandle? Input { get; } = input;

    /// <summary>How many bytes of <see cref="SpawnRequest.FirstInput"/> went into the pipe.</summary>
    internal int InputTaken { get; init; }

    /// <summary>Read end of its stdout, non-blocking, or null.</summary>
    internal SafeFileHandle? Output { get; } = output;

    /// <summary>Read end of its stderr, non-blocking, or null.</summary>
    internal SafeFileHandle? Error { get; } = error;

    public void Dispose()
    {
        Exit.Dispose();
        Input?.Dispose();
        Output?.Dispose();
        Error?.Dispose();
    }
}
