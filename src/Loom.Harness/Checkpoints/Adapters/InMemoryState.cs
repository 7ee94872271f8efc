using System.Collections.Concurrent;
using Loom.Components;

namespace Loom.Harness.Checkpoints.Adapters;

/// <summary><c>inmem_ephemeral</c>: state that ends with the process.</summary>
internal sealed class InMemoryState : IStateAdapter
{
    public const string AdapterName = "inmem_ephemeral";

    private readonly ConcurrentDictionary<string, byte[]> _values = new(StringComparer.Ordinal);

    public string Name => AdapterName;

    public StateDurability Durability => StateDurability.Process;

    public string Describe() => "in memory: gone with this process";

    public ValueTask OpenAsync(CancellationToken ct) => default;

    public ValueTask PutAsync(string key, ReadOnlyMemory<byte> value, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        StateKeys.Check(key, value.Length);
        _values[key] = value.ToArray();
        return default;
    }

    public ValueTask<byte[]?> GetAsync(string key, CancellationToken ct) => new(_values.TryGetValue(key, out var value) ? [.. value] : null);

    public ValueTask<IReadOnlyList<string>> ListAsync(string prefix, CancellationToken ct) =>
        new([.. _values.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)]);

    public ValueTask DeleteAsync(IReadOnlyList<string> keys, CancellationToken ct)
    {
        foreach (var key in keys)
        {
            _values.TryRemove(key, out _);
        }

        return default;
    }

    public ValueTask DisposeAsync() => default;
}
