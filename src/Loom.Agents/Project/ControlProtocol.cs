using System.Text.Json.Serialization;

namespace Loom.Agents.Project;

/// <summary>One line from a client: what is asked of the running project.</summary>
/// <param name="Op"><c>status</c>, <c>down</c>, <c>start</c>, <c>stop</c>, <c>restart</c> or <c>follow</c>.</param>
public sealed record ControlRequest(string Op)
{
    /// <summary>The process meant; null = all.</summary>
    public string? Name { get; init; }

    /// <summary><c>follow</c>: earlier lines wanted of each process, at most 1,000.</summary>
    public int Lines { get; init; }

    /// <summary><c>down</c>: no grace, KILL at once.</summary>
    public bool Force { get; init; }
}

/// <summary>One line to a client. A request has one reply, <c>follow</c> one for each line.</summary>
public sealed record ControlReply
{
    public bool Ok { get; init; } = true;

    /// <summary>What went wrong, for a person.</summary>
    public string? Error { get; init; }

    /// <summary>True when the error is an unknown name.</summary>
    public bool Unknown { get; init; }

    public RunState? State { get; init; }

    public ControlLine? Line { get; init; }
}

/// <summary>One captured line of a process.</summary>
public sealed record ControlLine(string Name, bool Err, DateTimeOffset? At, string Text);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlReply))]
internal sealed partial class ControlJson : JsonSerializerContext;
