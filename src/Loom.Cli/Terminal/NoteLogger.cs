using Microsoft.Extensions.Logging;

namespace Loom.Cli.Terminal;

/// <summary>Shows warnings and errors of a room as notes, for verbs that run without a log file.</summary>
internal sealed class NoteLogger(Terminal terminal) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Warning and not LogLevel.None;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            terminal.Note("loom: " + formatter(state, exception));
        }
    }
}
