namespace Loom.Processes;

/// <summary>One captured line, secrets masked.</summary>
/// <param name="Name">Name of the process.</param>
/// <param name="IsError">True when it came from stderr.</param>
/// <param name="At">When it was read.</param>
/// <param name="Text">The line without its end, colour codes and all; invalid UTF-8 shows as U+FFFD.</param>
public sealed record LogLine(string Name, bool IsError, DateTimeOffset At, string Text);
