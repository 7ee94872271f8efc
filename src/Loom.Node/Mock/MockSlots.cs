namespace Loom.Node.Mock;

/// <summary>
/// The engine's slots, each remembering the prompt it last held, like a KV cache: a new request takes the free slot with the longest common prefix.
/// </summary>
internal sealed class MockSlots(int count) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _free = new(count, count);
    private readonly Slot[] _slots = [.. Enumerable.Range(0, count).Select(i => new Slot(i))];

    public int Total => count;

    public int Free => _free.CurrentCount;

    /// <summary>Waits for a free slot.</summary>
    /// <returns>The lease and the number of prompt words already cached in its slot.</returns>
    public async Task<(Slot Slot, int Cached)> TakeAsync(ulong[] promptWords, CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            var best = _slots.Where(s => !s.Busy).MaxBy(s => CommonPrefix(s.Cache, promptWords))!;
            var cached = CommonPrefix(best.Cache, promptWords);
            best.Busy = true;
            best.Cache = promptWords;
            return (best, cached);
        }
    }

    public void Release(Slot slot)
    {
        lock (_gate)
        {
            slot.Busy = false;
        }

        _free.Release();
    }

    public (int Id, bool Busy, int Cached)[] View()
    {
        lock (_gate)
        {
            return [.. _slots.Select(s => (s.Id, s.Busy, s.Cache.Length))];
        }
    }

    public void Dispose() => _free.Dispose();

    private static int CommonPrefix(ulong[] a, ulong[] b) => a.AsSpan().CommonPrefixLength(b);

    internal sealed class Slot(int id)
    {
        public int Id { get; } = id;

        public bool Busy { get; set; }

        public ulong[] Cache { get; set; } = [];
    }
}
