using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Settings;
using Loom.Core.Telemetry;
using Loom.Processes.Logs;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>
/// Loom's own log: every line goes to <c>loom.log</c>, warnings and errors also to whoever watches. One line a message, text or JSON.
/// Never throws: a message that cannot be written must not end the work it speaks of.
/// </summary>
internal sealed class LoomLogging : ILoggerProvider
{
    private readonly SharedLog? _file;
    private readonly Func<string, LogLevel> _levelOf;
    private readonly bool _json;
    private readonly Action<LogLevel, string>? _watch;
    private readonly SecretMask _mask;
    private readonly LogLevel _watchFrom;

    /// <summary>Creates the log.</summary>
    /// <param name="file">Where lines go, or null; not disposed here.</param>
    /// <param name="levelOf">Lowest level shown of a category.</param>
    /// <param name="json">Lines as JSON objects.</param>
    /// <param name="watch">Called with every line of level <paramref name="watchFrom"/> and above; what it throws is lost.</param>
    /// <param name="mask">Takes secrets out of every line; null = nothing is secret.</param>
    /// <param name="watchFrom">Lowest level that is watched, also where the file takes less.</param>
    public LoomLogging(SharedLog? file, Func<string, LogLevel> levelOf, bool json, Action<LogLevel, string>? watch, SecretMask? mask = null, LogLevel watchFrom = LogLevel.Warning)
    {
        _file = file;
        _levelOf = levelOf;
        _json = json;
        _watch = watch;
        _mask = mask ?? SecretMask.None;
        _watchFrom = watchFrom;
    }

    /// <summary>Where the lines of the file go, too: stderr of a service, whose manager keeps it. Null = nowhere.</summary>
    public TextWriter? Stream { get; init; }

    /// <summary>Where lines go besides, secrets masked; null = nowhere. Set once there is one, which needs a log itself.</summary>
    public OtlpExport? Export { get; set; }

    public ILogger CreateLogger(string categoryName) => new CategoryLogger(this, categoryName, _levelOf(categoryName));

    public void Dispose()
    {
    }

    private static string Word(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        _ => "error",
    };

    private string Json(LogLevel level, string category, EventId id, string message, Exception? error, IEnumerable<KeyValuePair<string, object?>>? fields)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("level", Word(level));
            writer.WriteString("target", category);
            writer.WriteNumber("event", id.Id);
            writer.WriteString("message", message); // masked before it is escaped
            foreach (var (key, value) in fields ?? [])
            {
                if (!string.Equals(key, "{OriginalFormat}", StringComparison.Ordinal))
                {
                    writer.WriteString(JsonNamingPolicy.SnakeCaseLower.ConvertName(key), _mask.Apply(Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""));
                }
            }

            if (error is not null)
            {
                writer.WriteString("error", _mask.Apply(error.ToString()));
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private void Send(LogLevel level, string category, EventId id, string message, Exception? error, IEnumerable<KeyValuePair<string, object?>>? fields)
    {
        if (Export is not { } export)
        {
            return;
        }

        List<KeyValuePair<string, object?>> masked =
        [
            .. (fields ?? []).Where(f => f.Key != "{OriginalFormat}").Select(f => KeyValuePair.Create(
                JsonNamingPolicy.SnakeCaseLower.ConvertName(f.Key), (object?)_mask.Apply(Convert.ToString(f.Value, CultureInfo.InvariantCulture) ?? ""))),
        ];
        if (error is not null)
        {
            masked.Add(new("exception.message", _mask.Apply(error.Message)));
        }

        export.Log(level, category, id, message, masked);
    }

    private sealed class CategoryLogger(LoomLogging owner, string category, LogLevel lowest) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None && (logLevel >= lowest || (owner._watch is not null && logLevel >= owner._watchFrom && owner._watchFrom < LogLevel.Warning));

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
            {
                return;
            }

            var message = owner._mask.Apply(formatter(state, exception));
            var line = owner._json
                ? owner.Json(logLevel, category, eventId, message, exception, state as IEnumerable<KeyValuePair<string, object?>>)
                : $"{Word(logLevel),-5} {category}: {message}{(exception is null ? "" : " | " + owner._mask.Apply(exception.ToString().ReplaceLineEndings(" | ")))}";
            try
            {
                if (logLevel >= lowest)
                {
                    owner._file?.Write(line);
                    owner.Stream?.WriteLine(line);
                }

                if (logLevel >= lowest)
                {
                    owner.Send(logLevel, category, eventId, message, exception, state as IEnumerable<KeyValuePair<string, object?>>);
                }

                if (logLevel >= owner._watchFrom)
                {
                    owner._watch?.Invoke(logLevel, $"{category}: {message}{(exception is null ? "" : ": " + owner._mask.Apply(exception.Message))}");
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The terminal is gone or the disk is full, or the log was closed before the last one spoke.
            }
        }
    }
}
