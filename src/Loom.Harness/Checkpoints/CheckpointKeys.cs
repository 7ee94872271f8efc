using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Loom.Harness.Checkpoints;

/// <summary>Names of what a checkpoint consists of in a store. A component's name begins with a letter, so the names with an underscore are ours.</summary>
internal readonly record struct CheckpointKeys(CheckpointId Id)
{
    /// <summary>What all checkpoints begin with.</summary>
    public const string All = "ckpt/";

    /// <summary>What all lineages begin with.</summary>
    public const string Lineages = "lineage/";

    private const string ManifestName = "_manifest";
    private const string QuarantineName = "_quarantine";

    public string Prefix => $"{All}{Id}/";

    public string Manifest => Prefix + ManifestName;

    public string Quarantine => Prefix + QuarantineName;

    public static string Lineage(int lineage) => string.Create(CultureInfo.InvariantCulture, $"{Lineages}{lineage}");

    /// <summary>Chunk of a component's state; the first has its plain name.</summary>
    public string Chunk(string component, int index) => Part(component, index);

    /// <summary>Continuation of a manifest larger than one value; 0 is the manifest itself.</summary>
    public string ManifestPart(int index) => Part(ManifestName, index);

    /// <summary>Takes a key apart; what is not a checkpoint's is left out.</summary>
    public static bool TryParse(string key, out CheckpointId id, [NotNullWhen(true)] out string? name)
    {
        id = default;
        name = null;
        if (!key.StartsWith(All, StringComparison.Ordinal) || key.IndexOf('/', All.Length) is not (> 0 and var slash)
            || !CheckpointId.TryParse(key[All.Length..slash], out id))
        {
            return false;
        }

        name = key[(slash + 1)..];
        return true;
    }

    public static bool IsManifest(string name) => name == ManifestName;

    public static bool IsQuarantine(string name) => name == QuarantineName;

    private string Part(string name, int index) => index == 0 ? Prefix + name : string.Create(CultureInfo.InvariantCulture, $"{Prefix}{name}.{index}");
}
