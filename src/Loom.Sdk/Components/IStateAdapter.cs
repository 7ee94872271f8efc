namespace Loom.Components;

/// <summary>What survives when a value has been put into a state adapter.</summary>
public enum StateDurability
{
    /// <summary>Nothing: it is gone with the process.</summary>
    Process,

    /// <summary>What the store's own settings promise; the adapter says which in <see cref="IStateAdapter.Describe"/>.</summary>
    Store,

    /// <summary>A crash of the process and of the machine.</summary>
    Machine,
}

/// <summary>
/// Where checkpoints are kept: a store of small values by key. Chunks, manifests, integrity and retention are built on top of it and need only
/// this. Keys are text of letters, digits and <c>._-/</c>; values are at most 1 MiB.
/// </summary>
public interface IStateAdapter : IAsyncDisposable
{
    /// <summary>Its name in settings: <c>sqlite_snapshot</c>.</summary>
    string Name { get; }

    /// <summary>What a put survives.</summary>
    StateDurability Durability { get; }

    /// <summary>Where it keeps things and how safely, for people; without secrets.</summary>
    string Describe();

    /// <summary>Connects or opens.</summary>
    /// <exception cref="IOException">The store cannot be reached or read, and why.</exception>
    ValueTask OpenAsync(CancellationToken ct);

    /// <summary>Stores a value, replacing an earlier one; as durable as promised when it returns.</summary>
    /// <exception cref="IOException">It could not be stored.</exception>
    ValueTask PutAsync(string key, ReadOnlyMemory<byte> value, CancellationToken ct);

    /// <summary>The value of a key, or null.</summary>
    ValueTask<byte[]?> GetAsync(string key, CancellationToken ct);

    /// <summary>All keys that begin with a prefix, in ordinal order.</summary>
    ValueTask<IReadOnlyList<string>> ListAsync(string prefix, CancellationToken ct);

    /// <summary>Removes keys; one that is not there is no error.</summary>
    ValueTask DeleteAsync(IReadOnlyList<string> keys, CancellationToken ct);
}
