using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Harness.Errors;
using Loom.Harness.Tests.Matching;

namespace Loom.Harness.Tests.Running;

/// <summary>Keeps what failed in a case, in place of the dead letters.</summary>
/// <param name="secrets">Values no message shows, by name.</param>
internal sealed class TestErrors(IReadOnlyDictionary<string, string> secrets) : IErrorDestination
{
    private readonly ConcurrentQueue<ItemFailure> _failures = [];

    public IReadOnlyCollection<ItemFailure> All => _failures;

    /// <summary>How many there are of each code.</summary>
    public IReadOnlyDictionary<string, long> Codes => _failures.GroupBy(f => ErrorClasses.CodeOf(f.Error)).ToDictionary(g => g.Key, g => g.LongCount());

    public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct)
    {
        _failures.Enqueue(failure);
        return default;
    }

    /// <summary>The failures as a test compares them.</summary>
    public IReadOnlyList<SeenEvent> Seen() => [.. _failures.Select(f => new SeenEvent(Row(f), f.Key, f.Time, f.Mock))];

    /// <summary>A failure as one object.</summary>
    public JsonElement Row(ItemFailure failure) => JsonSerializer.SerializeToElement(
        new JsonObject
        {
            ["component"] = failure.Component,
            ["port"] = failure.Port,
            ["code"] = ErrorClasses.CodeOf(failure.Error),
            ["message"] = SecretText.In(failure.Error.Message, secrets),
            ["attempt"] = failure.Attempt,
            ["data"] = JsonNode.Parse(failure.Payload.GetRawText()),
        },
        JsonNodeContext.Default.JsonObject);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonObject))]
internal sealed partial class JsonNodeContext : System.Text.Json.Serialization.JsonSerializerContext;
