using Loom.Components;

namespace Loom.Harness.Checkpoints;

/// <summary>What a store holds, by its keys alone. Immutable.</summary>
/// <param name="Lineages">How each lineage began, as far as that can be read.</param>
/// <param name="Checkpoints">Keys of each checkpoint, by id.</param>
internal sealed record StateHoldings(IReadOnlyList<LineageRecord> Lineages, IReadOnlyDictionary<CheckpointId, StateHolding> Checkpoints)
{
    public int NewestLineage => Math.Max(
        Lineages.Select(l => l.Lineage).DefaultIfEmpty(0).Max(),
        Checkpoints.Keys.Select(c => c.Lineage).DefaultIfEmpty(0).Max());

    public long NewestNumber => Checkpoints.Keys.Select(c => c.Number).DefaultIfEmpty(0).Max();

    /// <summary>Looks.</summary>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public static async ValueTask<StateHoldings> ReadAsync(IStateAdapter adapter, CancellationToken ct)
    {
        var lineages = new List<LineageRecord>();
        foreach (var key in await adapter.ListAsync(CheckpointKeys.Lineages, ct).ConfigureAwait(false))
        {
            if (int.TryParse(key.AsSpan(CheckpointKeys.Lineages.Length), out var number) && number > 0)
            {
                lineages.Add(Lineage(number, await adapter.GetAsync(key, ct).ConfigureAwait(false)));
            }
        }

        var checkpoints = new Dictionary<CheckpointId, StateHolding>();
        foreach (var key in await adapter.ListAsync(CheckpointKeys.All, ct).ConfigureAwait(false))
        {
            if (CheckpointKeys.TryParse(key, out var id, out var name))
            {
                var holding = checkpoints.TryGetValue(id, out var known) ? known : checkpoints[id] = new StateHolding([]);
                holding.Keys.Add(key);
                holding.HasManifest |= CheckpointKeys.IsManifest(name);
                holding.IsQuarantined |= CheckpointKeys.IsQuarantine(name);
            }
        }

        return new StateHoldings(lineages, checkpoints);
    }

    // A record that cannot be read still tells that its lineage is taken; with no word of how it began, nothing before it may be used.
    private static LineageRecord Lineage(int number, byte[]? value) =>
        value is not null && LineageRecord.Unseal(value) is { } record && record.Lineage == number
            ? record
            : new LineageRecord { Lineage = number, Begun = default, Start = LineageStart.Fresh };
}

/// <summary>What is there of one checkpoint.</summary>
internal sealed class StateHolding(List<string> keys)
{
    public List<string> Keys { get; } = keys;

    public bool HasManifest { get; set; }

    public bool IsQuarantined { get; set; }
}
