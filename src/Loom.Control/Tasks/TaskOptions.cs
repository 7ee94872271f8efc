using System.Collections.Immutable;
using Loom.Control.Sessions;

namespace Loom.Control.Tasks;

/// <summary>Settings of tasks, sessions and artifacts.</summary>
public sealed record TaskOptions
{
    /// <summary>Whether a task is accepted only once its record is on disk, default true (<c>serving.tasks_durable</c>).</summary>
    public bool Durable { get; init; } = true;

    /// <summary>How long a task and its events stay after its end: 0 to a day, default 600 s (<c>serving.tasks_retention_secs</c>).</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromSeconds(600);

    /// <summary>Folder of what must outlive the process: journal, catalog, artifacts. Null = nothing does, and tasks are not durable.</summary>
    public string? StateFolder { get; init; }

    /// <summary>What the answers of a pool cost, by pool id; a pool that is not named costs nothing. From <c>extra.prompt_rate</c> and
    /// <c>extra.completion_rate</c> of <c>[llm.NAME]</c>, per million tokens.</summary>
    public ImmutableDictionary<string, Price> Prices { get; init; } = ImmutableDictionary<string, Price>.Empty;
}
