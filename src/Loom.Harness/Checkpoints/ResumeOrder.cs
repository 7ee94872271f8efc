namespace Loom.Harness.Checkpoints;

/// <summary>Which checkpoints a run may go on from, best first. Pure.</summary>
internal static class ResumeOrder
{
    /// <summary>
    /// Those of the newest lineage, newest first, then those of the lineages it stems from: a lineage begun by <c>--fresh</c> stems from none, one begun by
    /// <c>resume --checkpoint</c> from that checkpoint, one begun after a fallback from the lineage before it.
    /// </summary>
    public static IReadOnlyList<CheckpointId> Of(IReadOnlyCollection<LineageRecord> lineages, IEnumerable<CheckpointId> checkpoints)
    {
        var byLineage = checkpoints.ToLookup(c => c.Lineage);
        var order = new List<CheckpointId>();
        var records = lineages.ToDictionary(l => l.Lineage);
        var next = byLineage.Select(g => g.Key).Concat(records.Keys).DefaultIfEmpty(0).Max();
        var newest = long.MaxValue;
        while (next > 0)
        {
            var (lineage, limit) = (next, newest);
            order.AddRange(byLineage[lineage].Where(c => c.Number <= limit).OrderDescending());

            var record = records.GetValueOrDefault(lineage);
            (next, newest) = record?.Start switch
            {
                LineageStart.Fallback => (byLineage.Select(g => g.Key).Concat(records.Keys).Where(l => l < lineage).DefaultIfEmpty(0).Max(), long.MaxValue),
                LineageStart.Resume when CheckpointId.TryParse(record.From, out var from) && from.Lineage < lineage => (from.Lineage, from.Number),

                // Also where the record is gone: what stood before a beginning nobody knows may not be used.
                _ => (0, 0),
            };
        }

        return order;
    }
}
