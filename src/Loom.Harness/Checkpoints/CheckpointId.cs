using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Loom.Harness.Checkpoints;

/// <summary>
/// Names a checkpoint, as <c>LINEAGE.NUMBER</c>. Numbers rise over all lineages of a system and are never given twice; a lineage is one unbroken history of its
/// state, and a new one begins where an earlier history is not continued.
/// </summary>
/// <param name="Lineage">From 1.</param>
/// <param name="Number">From 1.</param>
internal readonly record struct CheckpointId(int Lineage, long Number) : IComparable<CheckpointId>
{
    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out CheckpointId id)
    {
        id = default;
        var dot = text?.IndexOf('.', StringComparison.Ordinal) ?? -1;
        if (dot < 1
            || !int.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var lineage) || lineage < 1
            || !long.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < 1)
        {
            return false;
        }

        id = new CheckpointId(lineage, number);
        return id.ToString() == text; // one name for one checkpoint: no leading zeros
    }

    public int CompareTo(CheckpointId other) => Number != other.Number ? Number.CompareTo(other.Number) : Lineage.CompareTo(other.Lineage);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Lineage}.{Number}");
}
