using System.Globalization;
using System.Text.Json;

namespace Loom.Node.Engines;

/// <summary>What an engine says about its work.</summary>
/// <param name="Busy">Requests it is working on.</param>
/// <param name="Tokens">Tokens it has read and made since it started; null = it does not count them. Tells of requests that came and went between two looks.</param>
public sealed record EngineActivity(int Busy, double? Tokens)
{
    private static readonly string[] s_counters = ["llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total", "vllm:prompt_tokens_total", "vllm:generation_tokens_total"];
    private static readonly string[] s_gauges = ["llamacpp:requests_processing", "vllm:num_requests_running"];

    /// <summary>Reads the two answers; null when neither says anything. Pure.</summary>
    /// <param name="slots">Body of <c>/slots</c>; empty = none.</param>
    /// <param name="metrics">Body of <c>/metrics</c>; empty = none.</param>
    public static EngineActivity? Read(string slots, string metrics)
    {
        var busy = BusySlots(slots);
        double? tokens = null, running = null;
        foreach (var line in metrics.Split('\n'))
        {
            if (Sample(line) is not { } sample)
            {
                continue;
            }

            if (s_counters.Contains(sample.Name, StringComparer.Ordinal))
            {
                tokens = (tokens ?? 0) + sample.Value;
            }
            else if (s_gauges.Contains(sample.Name, StringComparer.Ordinal))
            {
                running = (running ?? 0) + sample.Value;
            }
        }

        return busy is null && running is null && tokens is null ? null : new EngineActivity(Math.Max(busy ?? 0, (int)(running ?? 0)), tokens);
    }

    private static int? BusySlots(string slots)
    {
        if (slots.Length == 0)
        {
            return null;
        }

        try
        {
            using var json = JsonDocument.Parse(slots);
            return json.RootElement.ValueKind != JsonValueKind.Array ? null : json.RootElement.EnumerateArray().Count(s =>
                s.ValueKind == JsonValueKind.Object && s.TryGetProperty("is_processing", out var processing) && processing.ValueKind == JsonValueKind.True);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static (string Name, double Value)? Sample(string line)
    {
        var end = line.AsSpan().Trim().LastIndexOf(' ');
        if (line.StartsWith('#') || end <= 0)
        {
            return null;
        }

        var name = line.AsSpan().Trim()[..end];
        var labels = name.IndexOf('{');
        return double.TryParse(line.AsSpan().Trim()[(end + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? ((labels < 0 ? name : name[..labels]).ToString(), value)
            : null;
    }
}
