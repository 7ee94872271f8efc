using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Placement;

/// <summary>What a request asks of the place it runs at, beyond its model. Immutable; most requests have none.</summary>
internal sealed record PlacementWish
{
    /// <summary>Engine kind it needs; null = any.</summary>
    public string? EngineKind { get; init; }

    /// <summary>Tokens a slot must hold; null = any number. A replica that does not tell its context is taken to hold them.</summary>
    public int? Ctx { get; init; }

    /// <summary>Devices the replica must have, as its node writes them; <c>none</c> = none at all; empty = no matter.</summary>
    public ImmutableArray<string> Devices { get; init; } = [];

    /// <summary>The only pool it may run on; null = any.</summary>
    public string? PinPool { get; init; }

    /// <summary>Pools to try first, in this order, as long as they have a free slot.</summary>
    public ImmutableArray<string> PreferPools { get; init; } = [];

    /// <summary>Pools it must not run on.</summary>
    public ImmutableArray<string> AvoidPools { get; init; } = [];

    /// <summary>Whether pin and avoid give way when no pool they allow has a ready replica. A pool that is only busy is waited for.</summary>
    public bool AllowFallback { get; init; } = true;

    /// <summary>Names the filter among all filters of a route; what round-robin counts by.</summary>
    internal string Key => field ??= $"{EngineKind}|{Ctx}|{string.Join(',', Devices)}|{PinPool}|{string.Join(',', PreferPools)}|{string.Join(',', AvoidPools)}|{AllowFallback}";

    /// <summary>Whether pin and avoid let it run on a pool.</summary>
    internal bool Allows(string pool) => (PinPool is null || PinPool == pool) && !AvoidPools.Contains(pool);

    internal bool AcceptsDevices(ReplicaStatus status)
    {
        foreach (var device in Devices)
        {
            var has = device == "none" ? status.DeviceMask.IsEmpty : status.DeviceMask.Contains(device);
            if (!has)
            {
                return false;
            }
        }

        return true;
    }
}
