using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>Holds the newest <see cref="ReplicaSnapshot"/>. Any thread reads; one publisher at a time writes.</summary>
public sealed class ReplicaTable
{
    private readonly Lock _publishing = new();
    private volatile ReplicaSnapshot _current = ReplicaSnapshot.Empty;

    /// <summary>The newest view. Take it once per decision.</summary>
    public ReplicaSnapshot Current => _current;

    /// <summary>Called after each change, on the publisher's thread.</summary>
    internal event Action<ReplicaSnapshot>? Changed;

    /// <summary>Replaces the view by what the nodes now say; replicas that are not named are gone.</summary>
    public void Publish(ImmutableArray<ReplicaStatus> replicas)
    {
        lock (_publishing)
        {
            _current = ReplicaSnapshot.Build(replicas, _current);
            Changed?.Invoke(_current);
        }
    }
}
