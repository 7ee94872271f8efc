using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Node.Provisioning;

/// <summary>Where a step of provisioning stands.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StepStatus>))]
public enum StepStatus
{
    [JsonStringEnumMemberName("pending")]
    Pending,
    [JsonStringEnumMemberName("running")]
    Running,
    [JsonStringEnumMemberName("completed")]
    Completed,
    [JsonStringEnumMemberName("failed")]
    Failed,
}

/// <summary>One line of progress, the same for a terminal, <c>--json</c> and task events.</summary>
public sealed record ProvisionProgress
{
    /// <summary><c>engine:KIND</c>, <c>model:REF</c> or <c>fit</c>.</summary>
    public required string Step { get; init; }

    /// <summary><c>engine_provision</c>, <c>model_fetch</c> or <c>pool_warmup</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Pool the step is for; null for work by hand.</summary>
    public string? Group { get; init; }

    public required StepStatus Status { get; init; }

    public long BytesDone { get; init; }

    /// <summary>Null while unknown.</summary>
    public long? BytesTotal { get; init; }

    /// <summary>0 to 100; null while unknown.</summary>
    public int? Pct => BytesTotal is > 0 ? (int)Math.Clamp(BytesDone * 100 / BytesTotal.Value, 0, 100) : null;

    /// <summary>What is being done: <c>download</c>, <c>verify</c>, <c>install</c> ...</summary>
    public required string Phase { get; init; }

    /// <summary>The same for a reader.</summary>
    public required string Human { get; init; }

    /// <summary>The record as one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ProvisionJson.Default.ProvisionProgress);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ProvisionProgress))]
internal sealed partial class ProvisionJson : JsonSerializerContext;
