using System.Collections.Concurrent;

namespace Loom.Node.Mock;

/// <summary>Named gates: a request that names one in <c>x-mock-gate</c> waits before its first token until the gate is released. Tests steer by gates, not by sleeping.</summary>
internal sealed class MockGates
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _gates = new(StringComparer.Ordinal);

    public Task WaitAsync(string name, CancellationToken cancellationToken) => Gate(name).Task.WaitAsync(cancellationToken);

    /// <summary>Opens the gate for everyone who waits or will wait at it.</summary>
    public void Release(string name) => Gate(name).TrySetResult();

    private TaskCompletionSource Gate(string name) => _gates.GetOrAdd(name, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}
