using Loom.Cli.Composition;
using Loom.Core.Settings;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class LoomLoggingTests
{
    private readonly List<string> _seen = [];

    [Theory]
    [InlineData(typeof(IOException))]
    [InlineData(typeof(ObjectDisposedException))]
    public void Log_WatcherThatCannotWrite_DoesNotThrow(Type fault)
    {
        using var logging = new LoomLogging(null, _ => LogLevel.Information, json: false,
            (_, _) => throw (Exception)Activator.CreateInstance(fault, "broken pipe")!);
        using var loggers = new LoggerFactory([logging]);
        Should.NotThrow(() => Say(loggers, LogLevel.Error, "something"));
    }

    [Fact]
    public void Log_SecretInMessageAndException_IsMasked()
    {
        using var logging = Logging(LogLevel.Warning);
        using var loggers = new LoggerFactory([logging]);
        Say(loggers, LogLevel.Warning, "key is sk-0123456789", new InvalidOperationException("sk-0123456789 refused"));
        _seen.ShouldBe(["room: key is [redacted:MY_KEY]: [redacted:MY_KEY] refused"]);
    }

    [Fact]
    public void Log_WatchedFromDebug_ShowsWhatTheFileDoesNotTake()
    {
        using var logging = Logging(LogLevel.Debug);
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        Say(loggers, LogLevel.Debug, "detail");
        Say(loggers, LogLevel.Trace, "too much");
        _seen.ShouldBe(["room: detail"]);
    }

    [Fact]
    public void Log_WatchedFromWarning_LeavesInformationOut()
    {
        using var logging = Logging(LogLevel.Warning);
        using var loggers = new LoggerFactory([logging]);
        Say(loggers, LogLevel.Information, "all is well");
        _seen.ShouldBeEmpty();
    }

    private static void Say(LoggerFactory loggers, LogLevel level, string text, Exception? error = null) =>
        loggers.CreateLogger("room").Log(level, new EventId(1), text, error, static (state, _) => state);

    private LoomLogging Logging(LogLevel from) =>
        new(null, _ => LogLevel.Information, json: false, (_, line) => _seen.Add(line), new SecretMask([new("MY_KEY", "sk-0123456789")]), from);
}
