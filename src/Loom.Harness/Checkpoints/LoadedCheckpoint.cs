using Loom.Components;

namespace Loom.Harness.Checkpoints;

/// <summary>A checkpoint of which every byte has been verified.</summary>
internal sealed class LoadedCheckpoint(CheckpointManifest manifest, CheckpointId id, Func<string, IStateAdapter> adapterOf)
{
    private readonly Dictionary<string, ManifestPart> _parts = manifest.Parts.ToDictionary(p => p.Component, StringComparer.Ordinal);

    public CheckpointId Id => id;

    /// <summary>When it was taken.</summary>
    public DateTimeOffset Time => manifest.Time;

    /// <summary>The graph it belongs to.</summary>
    public string GraphHash => manifest.GraphHash;

    /// <summary>What it holds of each component.</summary>
    public IReadOnlyList<ManifestPart> Parts => manifest.Parts;

    /// <summary>Where the partitions of a source go on; empty for others and for components it does not know.</summary>
    public IReadOnlyDictionary<string, long> OffsetsOf(string component) =>
        _parts.GetValueOrDefault(component)?.Offsets ?? System.Collections.Frozen.FrozenDictionary<string, long>.Empty;

    /// <summary>The state of a component, or null where it kept none.</summary>
    /// <exception cref="CheckpointDamagedException">It was changed since it was verified.</exception>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async ValueTask<RestoredState?> StateOfAsync(string component, CancellationToken ct)
    {
        if (_parts.GetValueOrDefault(component) is not { HasState: true } part)
        {
            return null;
        }

        var content = await VerifiedState.OpenAsync(adapterOf(component), new CheckpointKeys(id), part, ct).ConfigureAwait(false);
        return new RestoredState(part.StateVersion, content);
    }
}
