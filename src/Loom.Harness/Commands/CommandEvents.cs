using System.Text;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Commands;

/// <summary>What a component says that is no answer: its log, its metrics, its calls, its stray output.</summary>
internal sealed partial class CommandEvents(
    string component, Func<IChatClient?> models, TimeProvider time, ILogger log, Func<ChildEmit, ValueTask> onFreeEmit, Action onEnd, Action onState) : ISessionEvents
{
    private const int LinesAWindow = 20;
    private const int LongestShown = 500;
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(10);

    private long _windowAt = time.GetTimestamp();
    private int _shown;
    private long _lines;

    /// <summary>Where it counts; set when the component is set up.</summary>
    public IComponentMetrics? Metrics { get; set; }

    /// <summary>Lines on stdout that were no messages.</summary>
    public long OutputLines => Interlocked.Read(ref _lines);

    public ValueTask OnFreeEmitAsync(ChildEmit emit) => onFreeEmit(emit);

    public void OnEnd() => onEnd();

    public void OnState() => onState();

    public async ValueTask<JsonElement> CallAsync(string api, JsonElement question, CancellationToken ct)
    {
        if (api != "llm")
        {
            throw new ItemException("no_such_api", $"there is no api '{api}' to call; there are: llm");
        }

        var client = models() ?? throw new ItemException("no_model", "no model is configured for this system", ErrorClass.Configuration);
        var messages = question.GetProperty("messages").EnumerateArray()
            .Select(m => new ChatMessage(new ChatRole(m.GetProperty("role").GetString()!), m.GetProperty("content").GetString())).ToList();
        var options = question.TryGetProperty("model", out var model) ? new ChatOptions { ModelId = model.GetString() } : null;
        var answer = await client.GetResponseAsync(messages, options, ct).ConfigureAwait(false);
        return JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["text"] = answer.Text }, CommandJson.Default.DictionaryStringString);
    }

    public void OnLog(string level, string message)
    {
        var at = level switch
        {
            "trace" => LogLevel.Trace,
            "debug" => LogLevel.Debug,
            "warning" or "warn" => LogLevel.Warning,
            "error" => LogLevel.Error,
            "critical" => LogLevel.Critical,
            _ => LogLevel.Information,
        };
        LogSaid(log, at, component, message);
    }

    public void OnMetric(string name, double value, IReadOnlyDictionary<string, string> labels)
    {
        Metrics?.Set(name, value, labels);
    }

    public void OnOutput(ReadOnlySpan<byte> line)
    {
        Interlocked.Increment(ref _lines);
        Metrics?.Count("output_lines");
        if (time.GetElapsedTime(_windowAt) > s_window)
        {
            if (_shown > LinesAWindow)
            {
                LogMore(log, component, _shown - LinesAWindow);
            }

            (_windowAt, _shown) = (time.GetTimestamp(), 0);
        }

        if (++_shown <= LinesAWindow)
        {
            var text = Encoding.UTF8.GetString(line[..Math.Min(line.Length, LongestShown)]);
            LogOutput(log, component, line.Length > LongestShown ? text + " …" : text);
        }
    }

    [LoggerMessage(EventId = 4310, Message = "{Component}: {Text}")]
    private static partial void LogSaid(ILogger logger, LogLevel level, string component, string text);

    [LoggerMessage(EventId = 4311, Level = LogLevel.Information, Message = "{Component} wrote to stdout what is no message: {Text}")]
    private static partial void LogOutput(ILogger logger, string component, string text);

    [LoggerMessage(EventId = 4312, Level = LogLevel.Warning, Message = "{Component} wrote {More} more lines to stdout that are no messages; only its protocol belongs there")]
    private static partial void LogMore(ILogger logger, string component, long more);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(Dictionary<string, string>))]
[System.Text.Json.Serialization.JsonSerializable(typeof(List<JsonElement>))]
[System.Text.Json.Serialization.JsonSerializable(typeof(object))]
[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class CommandJson : System.Text.Json.Serialization.JsonSerializerContext;
