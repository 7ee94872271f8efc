using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;

namespace Loom.Cli.Verbs;

/// <summary>The document <c>loom up --json</c> prints when the project is ready.</summary>
internal sealed record ReadyDocument(int Schema, string RunId, int Pid, IReadOnlyDictionary<string, string> Addresses, ImmutableArray<PoolRecord> Pools);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ReadyDocument))]
internal sealed partial class ReadyJson : JsonSerializerContext
{
    public static string Of(RunState state) =>
        JsonSerializer.Serialize(new ReadyDocument(1, state.RunId, state.Supervisor.Pid, state.Addresses, state.Pools), Default.ReadyDocument);
}
