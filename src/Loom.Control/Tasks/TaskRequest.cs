using System.Collections.Immutable;
using System.Text.Json;

namespace Loom.Control.Tasks;

/// <summary>Body of <c>POST /v2/tasks</c> as it came.</summary>
internal sealed record TaskRequest
{
    /// <summary>Model name, as in <c>/v1</c>; required.</summary>
    public string? ModelRef { get; init; }

    /// <summary>Text to continue; for rerank the query.</summary>
    public string? Prompt { get; init; }

    /// <summary>A conversation, as in <c>/v1/chat/completions</c>.</summary>
    public JsonElement? Messages { get; init; }

    /// <summary>Texts to embed or to rank.</summary>
    public JsonElement? Inputs { get; init; }

    /// <summary>The client's own id; the same id and body again changes nothing.</summary>
    public string? TaskId { get; init; }

    /// <summary>Session, a UUID.</summary>
    public string? SessionId { get; init; }

    /// <summary><c>completion</c>, <c>embedding</c> or <c>rerank</c>.</summary>
    public string? Workload { get; init; }

    /// <summary>Engine kind, or <c>any</c>.</summary>
    public string? Engine { get; init; }

    /// <summary>Tokens a slot must hold at least.</summary>
    public int? Ctx { get; init; }

    /// <summary><c>interactive</c> or <c>batch</c>.</summary>
    public string? Priority { get; init; }

    /// <summary>Longest answer, tokens; default 512.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Milliseconds from arrival to the end; without it the wait alone is limited, by <c>serving.queue_timeout_ms</c>.</summary>
    public int? DeadlineMs { get; init; }

    /// <summary>Seed of sampling.</summary>
    public long? Seed { get; init; }

    /// <summary><c>strict</c> or <c>best_effort</c>.</summary>
    public string? Determinism { get; init; }

    /// <summary>Recorded with the task.</summary>
    public string? SamplerProfileVersion { get; init; }

    /// <summary>What the client expects to be generated; recorded with the task.</summary>
    public int? ExpectedTokens { get; init; }

    /// <summary><c>reuse</c> or <c>cold</c>.</summary>
    public string? KvHint { get; init; }

    /// <summary>Where it may run.</summary>
    public TaskPlacement? Placement { get; init; }
}

/// <summary>Where a task may run.</summary>
internal sealed record TaskPlacement
{
    /// <summary><c>auto</c>, <c>prefer</c> or <c>pin</c>.</summary>
    public string? Mode { get; init; }

    /// <summary>The one pool of mode <c>pin</c>.</summary>
    public string? PinPoolId { get; init; }

    /// <summary>Pools of mode <c>prefer</c>, best first.</summary>
    public ImmutableArray<string>? PreferPools { get; init; }

    /// <summary>Pools it must not run on.</summary>
    public ImmutableArray<string>? AvoidPools { get; init; }

    /// <summary>Devices a replica must have all of: indices or UUIDs with commas between them.</summary>
    public string? RequireDeviceMask { get; init; }

    /// <summary>Whether a pinned task may run elsewhere when its pool cannot take it; default true.</summary>
    public bool? AllowFallback { get; init; }
}
