using System.Text.Json.Serialization;

namespace Loom.Harness.Errors;

/// <summary>One failed item, with all that helps to understand it: the one form in which the log, health, error ports and dead letters tell of it.</summary>
internal sealed record ErrorRecord
{
    /// <summary>Unique over all runs.</summary>
    public required string ErrorId { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required string System { get; init; }

    public required string Version { get; init; }

    public required string Component { get; init; }

    /// <summary>The process that met it.</summary>
    public required string Instance { get; init; }

    /// <summary>The link of the chain that objected; null = the component itself.</summary>
    public string? Capability { get; init; }

    /// <summary>The input port it failed on, where a retry sends it again.</summary>
    public required string Port { get; init; }

    public required ErrorEvent Event { get; init; }

    /// <summary>Attempts made, from 1.</summary>
    public required int Attempt { get; init; }

    /// <summary>Its place in its batch; null = it came alone.</summary>
    public int? Index { get; init; }

    /// <summary>What failed, in snake case; few different ones.</summary>
    public required string Code { get; init; }

    public required string Message { get; init; }

    /// <summary>What was thrown, from the outermost to the cause; empty when nothing was.</summary>
    public required IReadOnlyList<ErrorCause> Exceptions { get; init; }

    /// <summary>Whether it may pass another time.</summary>
    public required bool Retryable { get; init; }

    /// <summary>32 hex digits; null = the event is not traced.</summary>
    public string? TraceId { get; init; }

    /// <summary>Whether a mock had a hand in it.</summary>
    public required bool Mock { get; init; }

    /// <summary>True where the run was not bound to a lock.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Unlocked { get; init; }

    /// <summary>What the machine was like, at most a second old; null = that cannot be read here.</summary>
    public ResourceSample? Resources { get; init; }
}

/// <summary>The event that failed.</summary>
internal sealed record ErrorEvent(string Id, string? Key, DateTimeOffset Time);

/// <summary>One exception of a chain.</summary>
internal sealed record ErrorCause(string Type, string Message);

/// <summary>What this process and its machine were using. What cannot be read is null.</summary>
internal sealed record ResourceSample
{
    /// <summary>Of one core, since the sample before; 200 = two cores.</summary>
    public double? CpuPercent { get; init; }

    public double? RssMb { get; init; }

    public double? HeapMb { get; init; }

    /// <summary>Pauses of the collector since the process began.</summary>
    public double? GcPauseMs { get; init; }

    /// <summary>Full collections since the process began.</summary>
    public int? Gen2Count { get; init; }

    public ThreadPoolSample? Threadpool { get; init; }

    public int? OpenFds { get; init; }

    /// <summary>Room where the system keeps its state.</summary>
    public double? DiskFreeMb { get; init; }

    /// <summary>Free share of that disk.</summary>
    [JsonIgnore]
    public double? DiskFreeRatio { get; init; }

    public IReadOnlyList<GpuSample> Gpu { get; init => field = value ?? []; } = [];

    public required DateTimeOffset SampledAt { get; init; }
}

/// <summary>The thread pool.</summary>
internal sealed record ThreadPoolSample(int Threads, long Queue);

/// <summary>One GPU; null = its driver does not tell.</summary>
/// <param name="Index">In PCI bus order.</param>
/// <param name="Util">Share of time it was busy, 0 to 1.</param>
/// <param name="MemUsedMb">Memory in use.</param>
internal sealed record GpuSample(int Index, double? Util, double? MemUsedMb);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 1000)] // a letter holds a payload
[JsonSerializable(typeof(ErrorRecord))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(string))]
internal sealed partial class ErrorJson : JsonSerializerContext;
