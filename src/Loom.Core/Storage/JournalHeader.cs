using System.Text.Json.Serialization;

namespace Loom.Core.Storage;

/// <summary>First record of a journal.</summary>
/// <param name="LoomJournal">Version of the format.</param>
/// <param name="Generation">1 for a new journal, one more after each compaction.</param>
/// <param name="Previous">Last hash of the generation before; zeros for the first.</param>
internal sealed record JournalHeader(int LoomJournal, long Generation, string Previous);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(JournalHeader))]
internal sealed partial class JournalJson : JsonSerializerContext;
