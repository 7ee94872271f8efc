namespace Loom.Control.Nodes;

/// <summary>
/// Decides which silent nodes are lost. When many seem lost at once it is more likely that this machine slept or its network failed than that they all
/// died: then they get no work, and are failed only if the next check agrees.
/// </summary>
internal static class StaleCheck
{
    private const int FewestForDoubt = 4;
    private const int LateIntervals = 2;

    /// <summary>What a check does about the silent nodes.</summary>
    /// <param name="online">Nodes online before it.</param>
    /// <param name="lost">Of these, how many are silent and were not doubted before.</param>
    /// <param name="sinceLast">Time since the last check, or since there is one.</param>
    /// <param name="interval">Time there should be.</param>
    /// <returns>Whether the newly silent are doubted first; who was doubted before and is silent still is lost either way.</returns>
    public static bool Doubts(int online, int lost, TimeSpan sinceLast, TimeSpan interval) =>
        (online >= FewestForDoubt && lost * 2 > online) || sinceLast - interval > interval * LateIntervals;
}
