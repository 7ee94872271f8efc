using Loom.Harness.Errors;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Secrets;

/// <summary>Loggers whose lines show no configured secret, also none that stands in the message or the stack of an exception.</summary>
/// <param name="inner">Where the lines go.</param>
/// <param name="secrets">Takes out what shall not be seen.</param>
internal sealed class SecretLogs(ILoggerFactory inner, SecretText secrets) : ILoggerFactory
{
    /// <summary>The same loggers where there is no secret.</summary>
    public static ILoggerFactory Of(ILoggerFactory inner, IReadOnlyDictionary<string, string> secrets) => secrets.Count == 0 ? inner : new SecretLogs(inner, SecretText.Of(secrets));

    public ILogger CreateLogger(string categoryName) => new Masking(inner.CreateLogger(categoryName), secrets);

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    // The loggers belong to whoever made them.
    public void Dispose()
    {
    }

    private sealed class Masking(ILogger inner, SecretText secrets) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!inner.IsEnabled(logLevel))
            {
                return;
            }

            var text = formatter(state, exception);
            var stack = exception?.ToString();
            var (shown, shownStack) = (secrets.In(text), stack is null ? null : secrets.In(stack));
            if (shown == text && shownStack == stack)
            {
                inner.Log(logLevel, eventId, state, exception, formatter);
                return;
            }

            inner.Log(logLevel, eventId, shown, shownStack is null ? null : new MaskedException(shownStack), static (s, _) => s);
        }
    }
}

/// <summary>An exception as it may be shown.</summary>
/// <param name="text">What it says of itself, without secrets.</param>
internal sealed class MaskedException(string text) : Exception(text)
{
    public override string ToString() => Message;
}
