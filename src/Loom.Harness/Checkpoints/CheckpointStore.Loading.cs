using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Checkpoints;

// Reading: verify before use, set aside what is damaged, use the next older one.
internal sealed partial class CheckpointStore
{
    private readonly List<CheckpointInfo> _quarantined = [];

    /// <summary>What <see cref="LoadNewestAsync"/> refused, newest first; health is degraded while the newest of it is newer than the last good checkpoint.</summary>
    public IReadOnlyList<CheckpointInfo> Quarantined => _quarantined;

    /// <summary>How many checkpoints <see cref="LoadNewestAsync"/> had to choose from, those refused earlier included.</summary>
    public int Candidates { get; private set; }

    /// <summary>The newest checkpoint that is whole; those refused on the way are quarantined with their reason. Null when there is none.</summary>
    /// <exception cref="IOException">The store cannot be read, which says nothing about its checkpoints.</exception>
    public async Task<LoadedCheckpoint?> LoadNewestAsync(CancellationToken ct = default)
    {
        var holdings = await StateHoldings.ReadAsync(_adapter, ct).ConfigureAwait(false);
        var order = ResumeOrder.Of(holdings.Lineages, holdings.Checkpoints.Keys);
        Candidates = order.Count;
        foreach (var id in order)
        {
            var holding = holdings.Checkpoints[id];
            if (holding.IsQuarantined)
            {
                continue;
            }

            try
            {
                return await VerifiedAsync(id, ct).ConfigureAwait(false);
            }
            catch (CheckpointDamagedException e)
            {
                await QuarantineAsync(id, unfinished: !holding.HasManifest, e.Message).ConfigureAwait(false);
            }
            catch (StateDamagedException e)
            {
                await QuarantineAsync(id, unfinished: false, e.Message).ConfigureAwait(false);
            }
        }

        return null;
    }

    /// <summary>A checkpoint by its id, verified; null when there is none of that id.</summary>
    /// <exception cref="CheckpointDamagedException">It cannot be used, and why.</exception>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async Task<LoadedCheckpoint?> LoadAsync(CheckpointId id, CancellationToken ct = default)
    {
        var keys = await _adapter.ListAsync(new CheckpointKeys(id).Prefix, ct).ConfigureAwait(false);
        return keys.Count == 0 ? null : await VerifiedAsync(id, ct).ConfigureAwait(false);
    }

    /// <summary>All checkpoints of all lineages, newest first, by their manifests alone.</summary>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(CancellationToken ct = default) => LookAsync(verify: false, ct);

    /// <summary>The same with every byte of every checkpoint verified, quarantined ones too.</summary>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public Task<IReadOnlyList<CheckpointInfo>> VerifyAsync(CancellationToken ct = default) => LookAsync(verify: true, ct);

    private async Task<IReadOnlyList<CheckpointInfo>> LookAsync(bool verify, CancellationToken ct)
    {
        var holdings = await StateHoldings.ReadAsync(_adapter, ct).ConfigureAwait(false);
        var all = new List<CheckpointInfo>();
        foreach (var (id, holding) in holdings.Checkpoints.OrderByDescending(c => c.Key))
        {
            all.Add(await LookAsync(id, holding, verify, ct).ConfigureAwait(false));
        }

        return all;
    }

    private async ValueTask<CheckpointInfo> LookAsync(CheckpointId id, StateHolding holding, bool verify, CancellationToken ct)
    {
        CheckpointManifest? manifest = null;
        var (status, reason) = (CheckpointStatus.Complete, (string?)null);
        try
        {
            manifest = await ManifestAsync(id, ct).ConfigureAwait(false);
            if (verify)
            {
                await VerifyPartsAsync(manifest, id, ct).ConfigureAwait(false);
            }
        }
        catch (CheckpointDamagedException e)
        {
            (status, reason) = (holding.HasManifest ? CheckpointStatus.Damaged : CheckpointStatus.Unfinished, e.Message);
        }

        if (holding.IsQuarantined)
        {
            var record = await QuarantineOfAsync(id, ct).ConfigureAwait(false);
            (status, reason) = (CheckpointStatus.Quarantined, record?.Reason ?? reason ?? "it was set aside; the reason cannot be read any more");
        }

        return new CheckpointInfo(id, status, manifest?.Time, manifest?.Bytes ?? 0, manifest?.Parts.Count ?? 0, manifest?.GraphHash, reason);
    }

    private async ValueTask<LoadedCheckpoint> VerifiedAsync(CheckpointId id, CancellationToken ct)
    {
        var manifest = await ManifestAsync(id, ct).ConfigureAwait(false);
        await VerifyPartsAsync(manifest, id, ct).ConfigureAwait(false);
        return new LoadedCheckpoint(manifest, id, AdapterOf);
    }

    private async ValueTask VerifyPartsAsync(CheckpointManifest manifest, CheckpointId id, CancellationToken ct)
    {
        foreach (var part in manifest.Parts)
        {
            await VerifiedState.VerifyAsync(AdapterOf(part.Component), new CheckpointKeys(id), part, ct).ConfigureAwait(false);
        }
    }

    private async ValueTask<CheckpointManifest> ManifestAsync(CheckpointId id, CancellationToken ct)
    {
        var keys = new CheckpointKeys(id);
        var bytes = await _adapter.GetAsync(keys.Manifest, ct).ConfigureAwait(false)
            ?? throw new CheckpointDamagedException("it has no manifest: it was cut off while it was written, or the manifest was removed");
        var length = CheckpointManifest.SealedLength(bytes);
        for (var i = 1; bytes.Length < length && bytes.Length == (long)i * ChunkWriter.ChunkBytes; i++)
        {
            var more = await _adapter.GetAsync(keys.ManifestPart(i), ct).ConfigureAwait(false)
                ?? throw new CheckpointDamagedException($"part {i + 1} of its manifest is missing");
            bytes = [.. bytes, .. more];
        }

        return CheckpointManifest.Unseal(bytes, _system, id);
    }

    private async ValueTask QuarantineAsync(CheckpointId id, bool unfinished, string reason)
    {
        LogQuarantined(_log, id.ToString(), reason);
        _quarantined.Add(new CheckpointInfo(id, CheckpointStatus.Quarantined, null, 0, 0, null, reason));
        var record = new QuarantineRecord(_time.GetUtcNow(), unfinished, reason);
        try
        {
            using var limit = new CancellationTokenSource(s_cleanUp, _time);
            await _adapter.PutAsync(
                new CheckpointKeys(id).Quarantine, JsonSerializer.SerializeToUtf8Bytes(record, CheckpointJson.Default.QuarantineRecord), limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // It is refused all the same, now and at the next start.
            LogNotMarked(_log, id.ToString(), e.Message);
        }
    }

    private async ValueTask<QuarantineRecord?> QuarantineOfAsync(CheckpointId id, CancellationToken ct)
    {
        try
        {
            return await _adapter.GetAsync(new CheckpointKeys(id).Quarantine, ct).ConfigureAwait(false) is { } value
                ? JsonSerializer.Deserialize(value, CheckpointJson.Default.QuarantineRecord)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // After a commit: what is beyond keep, past its time, or was never finished. Only this lineage is pruned by number; time alone reaches the others.
    private async ValueTask PruneAsync(CheckpointId newest)
    {
        try
        {
            using var limit = new CancellationTokenSource(s_cleanUp, _time);
            var holdings = await StateHoldings.ReadAsync(_adapter, limit.Token).ConfigureAwait(false);
            var gone = new HashSet<CheckpointId>();
            var mine = holdings.Checkpoints.Where(c => c.Key.Lineage == newest.Lineage && c.Key != newest).OrderByDescending(c => c.Key).ToList();
            gone.UnionWith(mine.Where(c => c.Value is { HasManifest: true, IsQuarantined: false }).Skip(_options.Keep - 1).Select(c => c.Key));
            gone.UnionWith(mine.Where(c => c.Value.IsQuarantined).Skip(_options.Keep).Select(c => c.Key));
            gone.UnionWith(mine.Where(c => c.Value is { HasManifest: false, IsQuarantined: false }).Select(c => c.Key));
            foreach (var id in holdings.Checkpoints.Keys.Where(c => _options.TimeToLive is not null && c != newest && !gone.Contains(c)))
            {
                if (await HasExpiredAsync(id, limit.Token).ConfigureAwait(false))
                {
                    gone.Add(id);
                }
            }

            foreach (var id in gone)
            {
                await RemoveAsync(id, holdings.Checkpoints[id], limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            LogNotPruned(_log, e.Message); // the checkpoint itself is complete; the next one tries again
        }
    }

    private async ValueTask<bool> HasExpiredAsync(CheckpointId id, CancellationToken ct)
    {
        try
        {
            var manifest = await ManifestAsync(id, ct).ConfigureAwait(false);
            return _time.GetUtcNow() - manifest.Time > _options.TimeToLive;
        }
        catch (CheckpointDamagedException)
        {
            return false; // its age is unknown
        }
    }

    private async ValueTask RemoveAsync(CheckpointId id, StateHolding holding, CancellationToken ct)
    {
        // The manifest first: what is left by a removal that is cut off is then no checkpoint.
        var keys = new CheckpointKeys(id);
        await _adapter.DeleteAsync([keys.Manifest], ct).ConfigureAwait(false);
        foreach (var own in _own.Values.Distinct().Where(a => !ReferenceEquals(a, _adapter)))
        {
            await own.DeleteAsync(await own.ListAsync(keys.Prefix, ct).ConfigureAwait(false), ct).ConfigureAwait(false);
        }

        await _adapter.DeleteAsync(holding.Keys, ct).ConfigureAwait(false);
    }

    private async ValueTask RemoveAsync(IEnumerable<IGrouping<IStateAdapter, string>> written)
    {
        foreach (var group in written)
        {
            try
            {
                using var limit = new CancellationTokenSource(s_cleanUp, _time);
                await group.Key.DeleteAsync([.. group.Reverse()], limit.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                LeftBehind += group.Count();
                LogNotPruned(_log, e.Message);
            }
        }
    }

    [LoggerMessage(EventId = 4101, Level = LogLevel.Warning, Message = "checkpoint {Id} is set aside and not used: {Reason}")]
    private static partial void LogQuarantined(ILogger logger, string id, string reason);

    [LoggerMessage(EventId = 4102, Level = LogLevel.Warning, Message = "checkpoint {Id} could not be marked as set aside, so it will be looked at again: {Why}")]
    private static partial void LogNotMarked(ILogger logger, string id, string why);

    [LoggerMessage(EventId = 4103, Level = LogLevel.Warning, Message = "old or abandoned parts of checkpoints could not be removed; the next checkpoint tries again: {Why}")]
    private static partial void LogNotPruned(ILogger logger, string why);
}
