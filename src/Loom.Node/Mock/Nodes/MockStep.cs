using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Node.Mock.Nodes;

/// <summary>What a step of a script does to its nodes.</summary>
public enum MockDeed
{
    /// <summary>They stop beating, for <see cref="MockStep.Ms"/> or for good; with <see cref="MockStep.Down"/> they break every connection, too.</summary>
    Silence,

    /// <summary>They beat again, at once.</summary>
    Speak,

    /// <summary>Silent for <see cref="MockStep.SilentMs"/>, then speaking for <see cref="MockStep.SpeakingMs"/>, over and over, for <see cref="MockStep.Ms"/>.</summary>
    Flap,

    /// <summary>Their clock is off by <see cref="MockStep.Ms"/>.</summary>
    Skew,

    /// <summary>Another machine registers under their names.</summary>
    Impostor,

    /// <summary>A new start of their agents registers.</summary>
    Restart,

    /// <summary>They tell <see cref="MockStep.Free"/> free slots of <see cref="MockStep.Total"/>, at once.</summary>
    Slots,

    /// <summary>Their pools are ready, or (<see cref="MockStep.Ready"/> = false) not, at once.</summary>
    Readiness,

    /// <summary>Answers of their engines come <see cref="MockStep.Ms"/> later.</summary>
    Slow,

    /// <summary>Answers of their engines wait until the gate <see cref="MockStep.Name"/> is released.</summary>
    Gate,

    /// <summary>A heartbeat comes late: with a number that was used before.</summary>
    Late,

    /// <summary>They sign off.</summary>
    Leave,
}

/// <summary>One line of a script.</summary>
public sealed record MockStep
{
    /// <summary>When, milliseconds after the start.</summary>
    public long AtMs { get; init; }

    /// <summary>A gate that must be released first; null = none.</summary>
    public string? After { get; init; }

    /// <summary>Which nodes: <c>*</c>, a number from 0, or a range such as <c>0-99</c>.</summary>
    public string Node { get; init => field = value ?? "*"; } = "*";

    /// <summary>What.</summary>
    public required MockDeed Do { get; init; }

    /// <summary>A duration or an offset, milliseconds.</summary>
    public long Ms { get; init; }

    /// <summary>See <see cref="MockDeed.Flap"/>.</summary>
    public int SilentMs { get; init; }

    /// <summary>See <see cref="MockDeed.Flap"/>.</summary>
    public int SpeakingMs { get; init; }

    /// <summary>See <see cref="MockDeed.Slots"/>.</summary>
    public int Free { get; init; }

    /// <summary>See <see cref="MockDeed.Slots"/>.</summary>
    public int Total { get; set; } = 4;

    /// <summary>See <see cref="MockDeed.Readiness"/>.</summary>
    public bool Ready { get; set; } = true;

    /// <summary>See <see cref="MockDeed.Silence"/>.</summary>
    public bool Down { get; init; }

    /// <summary>See <see cref="MockDeed.Gate"/>.</summary>
    public string? Name { get; init; }

    /// <summary>Reads a script: one JSON object a line; empty lines and lines that begin with <c>#</c> are passed over.</summary>
    /// <exception cref="FormatException">A line is none; the message names it.</exception>
    public static ImmutableArray<MockStep> Read(string text)
    {
        var steps = ImmutableArray.CreateBuilder<MockStep>();
        var number = 0;
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries))
        {
            number++;
            if (line.Length == 0 || line.StartsWith('#'))
            {
                continue;
            }

            try
            {
                var step = JsonSerializer.Deserialize(line, MockScriptJson.Default.MockStep) ?? throw new FormatException($"line {number}: null is no step");
                _ = step.Indices(int.MaxValue).Any();
                steps.Add(step);
            }
            catch (Exception e) when (e is JsonException or FormatException)
            {
                throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"line {number} of the script is no step: {e.Message}"), e);
            }
        }

        return [.. steps.OrderBy(s => s.AtMs)];
    }

    /// <summary>Indices of its nodes among so many.</summary>
    /// <exception cref="FormatException"><see cref="Node"/> is none of the three forms.</exception>
    public IEnumerable<int> Indices(int count)
    {
        if (Node == "*")
        {
            return Enumerable.Range(0, count);
        }

        var ends = Node.Split('-');
        return ends.Length is 1 or 2 && int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            && int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) && last >= first
            ? Enumerable.Range(first, Math.Max(0, Math.Min(last, count - 1) - first + 1))
            : throw new FormatException($"node '{Node}' is neither *, nor a number, nor a range such as 0-99");
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(MockStep))]
internal sealed partial class MockScriptJson : JsonSerializerContext;
