using System.Globalization;

namespace Loom.Harness.Architecture.Graphs;

/// <summary>What a running system adds to the picture of its graph.</summary>
/// <param name="Streams">Figures of each binding, by its name.</param>
/// <param name="Bottleneck">The component the others wait for; null when there is none.</param>
internal sealed record LiveGraph(IReadOnlyDictionary<string, LiveStream> Streams, string? Bottleneck);

/// <summary>A stream as it flows.</summary>
/// <param name="Rate">Events read from it per second.</param>
/// <param name="Depth">Events in it.</param>
/// <param name="Capacity">Events it may hold.</param>
internal sealed record LiveStream(double Rate, long Depth, long Capacity)
{
    /// <summary>As it stands on an arrow.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Rate.ToString(Rate < 10 ? "0.#" : "#,0", CultureInfo.InvariantCulture)}/s, {Depth:#,0} of {Capacity:#,0}");
}
