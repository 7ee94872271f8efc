using System.Collections.Frozen;
using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>Holds the newest <see cref="ReplicaSnapshot"/>. Any thread reads; one publisher at a time writes.</summary>
public sealed class ReplicaTable
{
    private readonly Lock _publishing = new();
    private volatile ReplicaSnapshot _current = ReplicaSnapshot.Empty;

    private ImmutableArray<ReplicaStatus> _told = [];
    private ImmutableArray<ReplicaStatus> _adopted = [];
    private FrozenSet<string> _withheld = [];

    /// <summary>What the nodes last said, models included that are withheld.</summary>
    internal ImmutableArray<ReplicaStatus> Told
    {
        get
        {
            lock (_publishing)
            {
                return _told;
            }
        }
    }

    /// <summary>The newest view. Take it once per decision.</summary>
    public ReplicaSnapshot Current => _current;

    /// <summary>Called after each change, on the publisher's thread.</summary>
    internal event Action<SnapshotChange>? Changed;

    /// <summary>Called when replicas were heard of that are what they were, but for counters; on the publisher's thread.</summary>
    internal event Action? Heard;

    /// <summary>
    /// Replaces the view by what the nodes now say; replicas that are not named are gone. When this returns, placement knows. A status that is the same object
    /// as before costs one comparison, and when only counters changed no new view is built.
    /// </summary>
    public void Publish(ImmutableArray<ReplicaStatus> replicas)
    {
        lock (_publishing)
        {
            _told = replicas;
            Show();
        }
    }

    /// <summary>Offers these models no more, whatever nodes say, and all others again. When this returns, placement knows.</summary>
    internal void Withhold(IEnumerable<string> models)
    {
        lock (_publishing)
        {
            _withheld = models.ToFrozenSet(StringComparer.Ordinal);
            Show();
        }
    }

    /// <summary>Shows a replica that no node speaks of, until this table ends; a newer word replaces an older one.</summary>
    internal void Adopt(ReplicaStatus replica)
    {
        lock (_publishing)
        {
            _adopted = [.. _adopted.Where(r => r.Id != replica.Id), replica];
            Show();
        }
    }

    private void Show()
    {
        var known = _adopted.IsEmpty ? _told : [.. _told.Where(t => !_adopted.Any(a => a.Id == t.Id)), .. _adopted];
        var shown = _withheld.Count == 0 ? known : [.. known.Select(Without)];
        var change = ReplicaSnapshot.Next(shown, _current);
        if (change is null)
        {
            Heard?.Invoke();
            return;
        }

        _current = change.Snapshot;
        Changed?.Invoke(change);
    }

    private ReplicaStatus Without(ReplicaStatus status) => !status.Models.Any(_withheld.Contains)
        ? status
        : status with
        {
            Models = status.Models.RemoveAll(_withheld.Contains),
            // An alias and "default" name the pool's main model.
            Aliases = _withheld.Contains(status.MainModel) ? [] : status.Aliases,
        };
}

/// <summary>A new view and what is new in it.</summary>
/// <param name="Snapshot">The view.</param>
/// <param name="Gone">Replicas of the view before that it does not hold.</param>
/// <param name="New">Replicas it holds that the view before did not.</param>
internal sealed record SnapshotChange(ReplicaSnapshot Snapshot, IReadOnlyList<Replica> Gone, IReadOnlyList<Replica> New);
