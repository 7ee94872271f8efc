using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Wire;

namespace Loom.Control.Tasks;

/// <summary>Where a task stands.</summary>
internal enum TaskState
{
    /// <summary>It waits for a slot.</summary>
    Queued,

    /// <summary>An engine works on it.</summary>
    Running,

    /// <summary>It ended well.</summary>
    Completed,

    /// <summary>It ended with an error.</summary>
    Failed,

    /// <summary>Its client cancelled it.</summary>
    Cancelled,
}

/// <summary>Answer to <c>POST /v2/tasks</c>.</summary>
internal sealed record TaskAccepted(
    string TaskId, int QueuePosition, long PredictedStartMs, long BackoffMs, TaskStreams Streams, TaskPreparation Preparation)
{
    /// <summary>Session of the task.</summary>
    public required string SessionId { get; init; }
}

/// <summary>Where the events are.</summary>
internal sealed record TaskStreams(string Sse, string SseVerbose);

/// <summary>What must happen before the task can start.</summary>
internal sealed record TaskPreparation(ImmutableArray<PreparationStep> Steps);

/// <summary>One such step.</summary>
internal sealed record PreparationStep(string Id, string Kind, string Group, string Description, long? EstimatedMs, long? BytesTotal, string Status);

/// <summary>Tokens of a task.</summary>
internal sealed record TaskUsage(long PromptTokens, long CompletionTokens, long TotalTokens, long CachedTokens, bool Estimated);

/// <summary>The error a task ended with.</summary>
internal sealed record TaskError(string Code, string Message, string? Engine, bool Retriable, int? RetryAfterMs);

/// <summary>One task, as <c>GET /v2/tasks/{id}</c> shows it.</summary>
internal sealed record TaskView
{
    public required string TaskId { get; init; }

    public required TaskState State { get; init; }

    public required string SessionId { get; init; }

    public required string ModelRef { get; init; }

    public required Workload Workload { get; init; }

    public required string Priority { get; init; }

    public required long CreatedMs { get; init; }

    public long? StartedMs { get; init; }

    public long? EndedMs { get; init; }

    public int? QueuePosition { get; init; }

    public long? PredictedStartMs { get; init; }

    public string? Node { get; init; }

    public string? Pool { get; init; }

    public int Attempts { get; init; }

    /// <summary>Time from the first to the last byte of the answer, milliseconds.</summary>
    public long DecodeMs { get; init; }

    public int TokensOut { get; init; }

    public string? Text { get; init; }

    public JsonElement? Result { get; init; }

    public string? FinishReason { get; init; }

    public TaskUsage? Usage { get; init; }

    public TaskError? Error { get; init; }

    public bool Canceled { get; init; }

    public bool Mock { get; init; }

    public string? CorrelationId { get; init; }

    public TaskStreams? Streams { get; init; }
}

/// <summary>Answer to <c>GET /v2/tasks</c>.</summary>
internal sealed record TaskList(ImmutableArray<TaskView> Tasks, int Count);

/// <summary>Data of a <c>queued</c> event.</summary>
internal sealed record QueuedEvent(int QueuePosition, long PredictedStartMs);

/// <summary>Data of a <c>started</c> event.</summary>
internal sealed record StartedEvent(int QueuePosition, long PredictedStartMs, string Node, string Pool);

/// <summary>Data of a <c>token</c> event.</summary>
internal sealed record TokenEvent(string T, int I);

/// <summary>Data of a <c>metrics</c> event.</summary>
internal sealed record MetricsEvent
{
    public required int QueueDepth { get; init; }

    public double? OnTimeProbability { get; init; }

    public double? KvWarmth { get; init; }

    public long? TokensBudgetRemaining { get; init; }

    public long? TimeBudgetRemainingMs { get; init; }

    public double? CostBudgetRemaining { get; init; }

    public ImmutableDictionary<string, OperationStep> Prep { get; init => field = value ?? ImmutableDictionary<string, OperationStep>.Empty; } = ImmutableDictionary<string, OperationStep>.Empty;

    public required string Human { get; init; }
}

/// <summary>Data of an <c>end</c> event.</summary>
internal sealed record EndEvent
{
    public required long TokensOut { get; init; }

    public required long DecodeMs { get; init; }

    public required string FinishReason { get; init; }

    public TaskUsage? Usage { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Canceled { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Result { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Mock { get; init; }
}

/// <summary>A record of the journal of tasks. One kind of it has the fields it needs; the others are null.</summary>
internal sealed record TaskRecord
{
    /// <summary><c>accepted</c>, <c>started</c> or <c>ended</c>.</summary>
    public required string Kind { get; init; }

    public required string TaskId { get; init; }

    public string? Owner { get; init; }

    public string? CorrelationId { get; init; }

    public long? AtMs { get; init; }

    /// <summary>Digest of the body, by which the same request is known again.</summary>
    public string? Digest { get; init; }

    public string? SessionId { get; init; }

    public TaskRequest? Request { get; init; }

    /// <summary>Dispatched in the same moment as it was accepted.</summary>
    public bool? Started { get; init; }

    public TaskView? End { get; init; }

    public static TaskRecord OfAcceptance(TaskEntry task, TaskRequest request, bool started)
    {
        var view = task.View;
        return new TaskRecord
        {
            Kind = "accepted",
            Owner = task.Owner,
            TaskId = task.Id,
            AtMs = view.CreatedMs,
            CorrelationId = view.CorrelationId,
            Digest = task.Digest,
            Request = request,
            SessionId = view.SessionId,
            Started = started ? true : null,
        };
    }

    public static TaskRecord OfStart(TaskEntry task, long nowMs) => new() { Kind = "started", Owner = task.Owner, TaskId = task.Id, AtMs = nowMs };

    public static TaskRecord OfEnd(TaskEntry task, TaskView end) =>
        new() { Kind = "ended", Owner = task.Owner, TaskId = task.Id, AtMs = end.EndedMs, Digest = task.Digest, End = end };
}

/// <summary>JSON of tasks: snake_case.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = false, Converters = [typeof(TaskStateNames), typeof(WorkloadNames)])]
[JsonSerializable(typeof(TaskRequest))]
[JsonSerializable(typeof(TaskAccepted))]
[JsonSerializable(typeof(TaskView))]
[JsonSerializable(typeof(TaskList))]
[JsonSerializable(typeof(QueuedEvent))]
[JsonSerializable(typeof(StartedEvent))]
[JsonSerializable(typeof(TokenEvent))]
[JsonSerializable(typeof(MetricsEvent))]
[JsonSerializable(typeof(EndEvent))]
[JsonSerializable(typeof(TaskError))]
internal sealed partial class TaskJson : JsonSerializerContext;

/// <summary>JSON of the journal of tasks: what is null is left out.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, Converters = [typeof(TaskStateNames), typeof(WorkloadNames)])]
[JsonSerializable(typeof(TaskRecord))]
internal sealed partial class TaskJournalJson : JsonSerializerContext;

/// <summary><c>queued</c>, <c>running</c>, <c>completed</c>, <c>failed</c>, <c>cancelled</c>.</summary>
internal sealed class TaskStateNames() : JsonStringEnumConverter<TaskState>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false);

/// <summary><c>completion</c>, <c>embedding</c>, <c>rerank</c>.</summary>
internal sealed class WorkloadNames() : JsonStringEnumConverter<Workload>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false);
