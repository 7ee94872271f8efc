namespace Loom.Control.Gateway;

/// <summary>Counts the connections opened to one host.</summary>
internal sealed class ConnectCount
{
    private int _value;

    /// <summary>Connections so far.</summary>
    public int Value => Volatile.Read(ref _value);

    /// <summary>One more.</summary>
    public void Add() => Interlocked.Increment(ref _value);
}
