using Loom.Components;
using Loom.Harness.Checkpoints.Adapters;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Checkpoints;

/// <summary>
/// The checkpoints of one system in one store: written whole or not at all, verified before use. Open it once; then one save at a time, while reading is free.
/// One run of a system writes to a store at a time, which is for its owner to see to.
/// </summary>
internal sealed partial class CheckpointStore : IAsyncDisposable
{
    private static readonly TimeSpan s_cleanUp = TimeSpan.FromSeconds(5);

    private readonly IStateAdapter _adapter;
    private readonly IReadOnlyDictionary<string, IStateAdapter> _own;
    private readonly string _system;
    private readonly CheckpointOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SemaphoreSlim _saving = new(1, 1);
    private int _lineage;
    private long _number;

    /// <param name="adapter">Where manifests and states go; disposed with the store.</param>
    /// <param name="system">The system's name, repeated in each manifest.</param>
    /// <param name="options">How many are kept.</param>
    /// <param name="time">Clock.</param>
    /// <param name="log">Told of what is set aside and of what could not be tidied.</param>
    /// <param name="own">Adapters of components that named another one, by component; disposed with the store.</param>
    public CheckpointStore(
        IStateAdapter adapter, string system, CheckpointOptions options, TimeProvider time, ILogger log, IReadOnlyDictionary<string, IStateAdapter>? own = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Keep, 1);
        (_adapter, _system, _options, _time, _log) = (adapter, system, options, time, log);
        _own = own ?? System.Collections.Frozen.FrozenDictionary<string, IStateAdapter>.Empty;
    }

    /// <summary>Where checkpoints go.</summary>
    public IStateAdapter Adapter => _adapter;

    /// <summary>The lineage that is written; 0 before a store is open for writing.</summary>
    public int Lineage => _lineage;

    /// <summary>What the stores do not promise; known once open.</summary>
    public IReadOnlyList<string> Warnings => [.. Stores.OfType<IStateWarnings>().SelectMany(a => a.Warnings).Distinct(StringComparer.Ordinal)];

    /// <summary>Keys that could not be tidied away, so far; they take room and do no harm.</summary>
    public long LeftBehind { get; private set; }

    /// <summary>Opens it for a run.</summary>
    /// <param name="fresh">Begin anew: what is there is neither used, overwritten nor pruned.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="IOException">The store cannot be reached, read or written.</exception>
    public ValueTask OpenAsync(bool fresh, CancellationToken ct = default) => OpenAsync(fresh ? LineageStart.Fresh : null, null, ct);

    /// <summary>Opens it for a run that began without it: a new lineage, so that what is there is neither overwritten nor pruned.</summary>
    /// <exception cref="IOException">The store cannot be reached, read or written.</exception>
    public ValueTask OpenAfterFallbackAsync(bool fresh, CancellationToken ct) => OpenAsync(fresh ? LineageStart.Fresh : LineageStart.Fallback, null, ct);

    /// <summary>Opens it to look: nothing is begun, set aside or tidied, and a run may write to it meanwhile.</summary>
    /// <exception cref="IOException">The store cannot be reached or read.</exception>
    public async ValueTask OpenToReadAsync(CancellationToken ct)
    {
        foreach (var adapter in Stores)
        {
            await adapter.OpenAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Goes on from a checkpoint that is not the newest: what came after it stays, in its lineage, and no longer counts.</summary>
    /// <exception cref="IOException">The store cannot be written.</exception>
    public ValueTask ResumeFromAsync(CheckpointId from, CancellationToken ct) => BeginAsync(LineageStart.Resume, from, _lineage + 1, ct);

    /// <summary>Stores a checkpoint. It exists once this returns, and not at all when it throws.</summary>
    /// <exception cref="IOException">The store refused it; what was written of it is removed, or later.</exception>
    public async Task<CheckpointInfo> SaveAsync(CheckpointDraft draft, CancellationToken ct)
    {
        if (_lineage == 0)
        {
            throw new InvalidOperationException("the checkpoint store is not open for writing");
        }

        await _saving.WaitAsync(ct).ConfigureAwait(false);
        var written = new List<(IStateAdapter Adapter, string Key)>();
        try
        {
            var info = await SaveAsync(draft, new CheckpointId(_lineage, ++_number), written, ct).ConfigureAwait(false);
            await PruneAsync(info.Id).ConfigureAwait(false);
            return info;
        }
        catch
        {
            await RemoveAsync(written.GroupBy(w => w.Adapter, w => w.Key)).ConfigureAwait(false);
            throw;
        }
        finally
        {
            _saving.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var adapter in Stores)
        {
            await adapter.DisposeAsync().ConfigureAwait(false);
        }

        _saving.Dispose();
    }

    private IEnumerable<IStateAdapter> Stores => _own.Values.Append(_adapter).Distinct();

    private IStateAdapter AdapterOf(string component) => _own.GetValueOrDefault(component) ?? _adapter;

    private async ValueTask OpenAsync(LineageStart? start, CheckpointId? from, CancellationToken ct)
    {
        foreach (var adapter in Stores)
        {
            await OpenWholeAsync(adapter, ct).ConfigureAwait(false);
        }

        var holdings = await StateHoldings.ReadAsync(_adapter, ct).ConfigureAwait(false);
        _number = holdings.NewestNumber;
        _lineage = holdings.NewestLineage;
        if (start is not null || _lineage == 0)
        {
            await BeginAsync(start ?? LineageStart.First, from, _lineage + 1, ct).ConfigureAwait(false);
        }
    }

    // A store that is broken as a whole is set aside where that is possible: a run that starts empty beats one that never starts again.
    private async ValueTask OpenWholeAsync(IStateAdapter adapter, CancellationToken ct)
    {
        try
        {
            await adapter.OpenAsync(ct).ConfigureAwait(false);
            await adapter.ListAsync(CheckpointKeys.All, ct).ConfigureAwait(false);
        }
        catch (StateDamagedException e) when (adapter is ISetAside broken)
        {
            var where = await broken.SetAsideAsync(ct).ConfigureAwait(false);
            LogSetAside(_log, adapter.Name, where, e.Message);
            SetAside = $"{e.Message}; it was moved to {where}";
        }
    }

    /// <summary>What was wrong with a store that had to be begun anew; null = nothing.</summary>
    public string? SetAside { get; private set; }

    private async ValueTask BeginAsync(LineageStart start, CheckpointId? from, int lineage, CancellationToken ct)
    {
        var record = new LineageRecord { Lineage = lineage, Begun = _time.GetUtcNow(), Start = start, From = from?.ToString() };
        await _adapter.PutAsync(CheckpointKeys.Lineage(lineage), record.Seal(), ct).ConfigureAwait(false);
        _lineage = lineage;
    }

    private async ValueTask<CheckpointInfo> SaveAsync(
        CheckpointDraft draft, CheckpointId id, List<(IStateAdapter Adapter, string Key)> written, CancellationToken ct)
    {
        var keys = new CheckpointKeys(id);
        var parts = new List<ManifestPart>(draft.Parts.Count);
        foreach (var part in draft.Parts)
        {
            parts.Add(await SavePartAsync(part, keys, written, ct).ConfigureAwait(false));
        }

        var manifest = new CheckpointManifest { System = _system, Id = id.ToString(), Time = _time.GetUtcNow(), GraphHash = draft.GraphHash, Parts = parts };
        ReadOnlyMemory<byte> bytes = manifest.Seal();
        for (var i = (bytes.Length - 1) / ChunkWriter.ChunkBytes; i >= 0; i--)
        {
            // Backwards: the first value, which makes it a checkpoint, is the last one written.
            var from = i * ChunkWriter.ChunkBytes;
            written.Add((_adapter, keys.ManifestPart(i)));
            await _adapter.PutAsync(keys.ManifestPart(i), bytes[from..Math.Min(bytes.Length, from + ChunkWriter.ChunkBytes)], ct).ConfigureAwait(false);
        }

        return new CheckpointInfo(id, CheckpointStatus.Complete, manifest.Time, manifest.Bytes, parts.Count, manifest.GraphHash, null);
    }

    private async ValueTask<ManifestPart> SavePartAsync(
        CheckpointPart part, CheckpointKeys keys, List<(IStateAdapter Adapter, string Key)> written, CancellationToken ct)
    {
        var saved = new ManifestPart
        {
            Component = part.Component,
            ContractVersion = part.ContractVersion,
            StateVersion = part.StateVersion,
            Offsets = part.Offsets,
        };
        if (part.Write is null)
        {
            return saved;
        }

        var adapter = AdapterOf(part.Component);
        var chunks = new ChunkWriter(adapter, i => keys.Chunk(part.Component, i));
        try
        {
            await part.Write(chunks, ct).ConfigureAwait(false);
            var (bytes, sha256, hashes) = await chunks.FinishAsync(ct).ConfigureAwait(false);
            return saved with { HasState = true, Bytes = bytes, Sha256 = sha256, Chunks = hashes };
        }
        finally
        {
            written.AddRange(chunks.Keys.Select(key => (adapter, key)));
            await chunks.DisposeAsync().ConfigureAwait(false);
        }
    }

    [LoggerMessage(EventId = 4100, Level = LogLevel.Error, Message = "the state store {Adapter} is broken and was moved to {Where}; a new one is begun, and earlier checkpoints cannot be resumed: {Why}")]
    private static partial void LogSetAside(ILogger logger, string adapter, string where, string why);
}

/// <summary>A store that can be moved away when it is broken as a whole.</summary>
internal interface ISetAside
{
    /// <summary>Moves what is there away and opens an empty store in its place.</summary>
    /// <returns>Where the broken one lies now.</returns>
    /// <exception cref="IOException">That is not possible.</exception>
    ValueTask<string> SetAsideAsync(CancellationToken ct);
}
