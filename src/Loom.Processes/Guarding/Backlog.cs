namespace Loom.Processes.Guarding;

/// <summary>
/// What is to be told to somebody who reads when he can: sent as far as it is taken, kept in order otherwise. Without clock and descriptor of its own.
/// </summary>
/// <param name="write">Sends without waiting.</param>
internal sealed class Backlog(Backlog.Writer write)
{
    /// <summary>Without progress for so long, the reader does not listen. A program that starts on a busy machine is slow, not deaf.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Pause between two attempts.</summary>
    internal static readonly TimeSpan Every = TimeSpan.FromMilliseconds(20);

    private byte[] _left = [];
    private DateTimeOffset _progressAt;

    /// <summary>Sends what is taken at once.</summary>
    /// <returns>Bytes taken, 0 = none now, negative = there is no reader any more.</returns>
    internal delegate int Writer(ReadOnlySpan<byte> bytes);

    internal bool IsEmpty => _left.Length == 0;

    /// <summary>When to <see cref="Flush"/> again; null = all is sent.</summary>
    internal DateTimeOffset? DueAt { get; private set; }

    /// <summary>Adds words behind those that wait.</summary>
    internal void Add(ReadOnlySpan<byte> bytes, DateTimeOffset now)
    {
        if (IsEmpty)
        {
            _progressAt = now;
        }

        _left = [.. _left, .. bytes];
    }

    /// <summary>Sends what is taken now.</summary>
    /// <returns>False when the reader is gone, or has taken nothing for <see cref="Patience"/>.</returns>
    internal bool Flush(DateTimeOffset now)
    {
        var sent = 0;
        var count = 0;
        while (sent < _left.Length && (count = write(_left.AsSpan(sent))) > 0)
        {
            sent += count;
        }

        if (sent > 0)
        {
            _progressAt = now;
            _left = _left[sent..];
        }

        DueAt = IsEmpty ? null : now + Every;
        return count >= 0 && (IsEmpty || now - _progressAt < Patience);
    }
}
