using Loom.Harness.Architecture;
using Loom.Processes;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Commands;

/// <summary>What commands of one system share.</summary>
internal sealed record CommandSurroundings
{
    /// <summary>Who starts and ends them, guards them and counts what they leave behind.</summary>
    public required ISupervisor Supervisor { get; init; }

    public required SystemPlan System { get; init; }

    /// <summary>The system's state folder; logs go below it.</summary>
    public required string StateFolder { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILoggerFactory Loggers { get; init; }

    /// <summary>The environment they inherit; the deployment's and the component's own variables go over it.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Time for <c>ready</c>; 30 s by default.</summary>
    public TimeSpan SetupTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Who answers <c>call</c> with <c>api: llm</c>, asked at the first call; null = such calls are refused.</summary>
    public Func<IChatClient?> Models { get; init; } = static () => null;

    /// <summary>Values that are masked in what they write to stderr, by name.</summary>
    public IReadOnlyDictionary<string, string> Secrets { get; init; } = new Dictionary<string, string>();
}
