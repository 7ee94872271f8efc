namespace Loom.Harness.Architecture.Guarantees;

/// <summary>What is promised for the events that go from a source to a sink.</summary>
/// <param name="Source">Where they begin.</param>
/// <param name="Sink">Where they end.</param>
/// <param name="Delivery">The promise.</param>
/// <param name="WeakestLink">What keeps it from being better, and what to do; null where nothing does.</param>
/// <param name="Repeats">Components between them whose effects outside the system can repeat after a crash.</param>
internal sealed record PathGuarantee(string Source, string Sink, Delivery Delivery, string? WeakestLink, IReadOnlyList<string> Repeats);
