using System.Text.Json;

namespace Loom.Runtime;

/// <summary>How a process ended.</summary>
/// <param name="Code">Its exit code; null when a signal ended it.</param>
/// <param name="Signal">The signal that ended it; null when it exited.</param>
/// <param name="At">When.</param>
public sealed record ProcessExit(int? Code, int? Signal, DateTimeOffset At);

/// <summary>A process of the project, as it was at the last look.</summary>
/// <param name="Name">Its name, <c>NAME</c> or <c>NAME-1</c>, <c>NAME-2</c> ... with replicas.</param>
/// <param name="Kind"><c>agent</c>, <c>engine</c>, ...</param>
/// <param name="State"><c>pending</c>, <c>starting</c>, <c>running</c>, <c>ready</c>, <c>unhealthy</c>, <c>backoff</c>, <c>stopping</c>, <c>stopped</c>, <c>completed</c>,
/// <c>failed</c>, <c>skipped</c> or <c>blocked</c>.</param>
/// <param name="Pid">Its process id; null while it has none.</param>
/// <param name="Restarts">Times it was started again after a crash.</param>
/// <param name="LastExit">How its last incarnation ended; null when none has.</param>
/// <param name="Reason">Why it is in this state; null when that needs no reason.</param>
public sealed record ProcessInfo(string Name, string Kind, string State, int? Pid, int Restarts, ProcessExit? LastExit, string? Reason)
{
    internal static ProcessInfo Read(JsonElement json) => new(
        json.GetProperty("name").GetString()!,
        json.GetProperty("kind").GetString()!,
        json.GetProperty("state").GetString()!,
        Number(json, "pid"),
        Number(json, "restarts") ?? 0,
        json.TryGetProperty("last_exit", out var exit) && exit.ValueKind == JsonValueKind.Object
            ? new ProcessExit(Number(exit, "code"), Number(exit, "signal"), exit.GetProperty("at").GetDateTimeOffset())
            : null,
        json.TryGetProperty("reason", out var reason) ? reason.GetString() : null);

    private static int? Number(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt32() : null;
}
