using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>How events are grouped in time.</summary>
internal enum WindowKind
{
    /// <summary>Windows of one size, one after the other, beginning at whole multiples of the size since 1970.</summary>
    Tumbling,

    /// <summary>Windows of one size, a new one every so often; an event belongs to several.</summary>
    Sliding,

    /// <summary>From the first event of a key until none came for a while.</summary>
    Session,

    /// <summary>So many events of a key.</summary>
    Count,
}

/// <summary>Which time windows go by.</summary>
internal enum WindowTime
{
    /// <summary>The events' own: the same input gives the same windows in every run.</summary>
    Event,

    /// <summary>When they arrive here.</summary>
    Processing,
}

/// <summary>What is made of the values of a window.</summary>
internal enum AggregateOp
{
    Count,
    Sum,
    Min,
    Max,
    Avg,
    First,
    Last,
    Collect,
    Distinct,
}

/// <summary>One aggregate.</summary>
internal sealed record AggregateOption
{
    [Description("count (events, or those for which of is true), sum, avg (numbers), min, max (numbers, strings or timestamps), first, last (by time), collect (list of all values) or distinct (list of different values). Null values count for nothing but first, last and collect.")]
    public required AggregateOp Op { get; init; }

    [Description("The value, for instance data.price; for count a condition, which may be left out.")]
    public Expression? Of { get; init; }
}

/// <summary>Settings of <c>accumulate</c>.</summary>
internal sealed record AccumulateOptions : IValidatableObject
{
    [Description("What events are grouped by, for instance data.user. Not set: all together.")]
    public Expression? Key { get; init; }

    [Description("tumbling and sliding (windows of a size), session (until a key is quiet for a gap) or count (so many events of a key).")]
    public WindowKind Window { get; init; }

    [Description("tumbling and sliding: length of a window.")]
    public TimeSpan? Size { get; init; }

    [Description("sliding: how often a window begins; at most size.")]
    public TimeSpan? Every { get; init; }

    [Description("session: how long a key must be quiet for its session to end.")]
    public TimeSpan? Gap { get; init; }

    [Range(1, 1_000_000_000)]
    [Description("count: events of a key that make a window.")]
    public int? Count { get; init; }

    [Description("event: windows follow the times of the events, so a replay gives the same ones. processing: they follow the clock.")]
    public WindowTime Time { get; init; }

    [Description("How much older than the newest event one may be and still find its window open, in event time. A later one is an item error with the code late.")]
    public TimeSpan Lateness { get; init; } = TimeSpan.Zero;

    [Description("Close windows by the clock when no event came for this long, in event time; for sources that fall silent. Not set: only later events and the end close windows.")]
    public TimeSpan? Idle { get; init; }

    [Description("What is made of each window, by name: { total: { op: sum, of: data.price }, n: { op: count } }. The names are fields of the result, beside key, start and end.")]
    public IReadOnlyDictionary<string, AggregateOption> Aggregates { get; init; } = new Dictionary<string, AggregateOption> { ["count"] = new() { Op = AggregateOp.Count } };

    [Range(1, 100_000_000)]
    [Description("Windows open at once, over all keys; an event that needs one more is an item error with the code too_many_windows.")]
    public int MaxWindows { get; init; } = 1_000_000;

    [Range(1, 10_000_000)]
    [Description("Values collect and distinct keep in one window; one more is an item error with the code window_full.")]
    public int MaxValues { get; init; } = 10_000;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var wanted = Window switch
        {
            WindowKind.Tumbling => Size is null ? "tumbling windows need size, for instance 1m" : null,
            WindowKind.Sliding => Size is null || Every is null ? "sliding windows need size and every" : null,
            WindowKind.Session => Gap is null ? "sessions need gap, for instance 30s" : null,
            _ => Count is null ? "count windows need count" : null,
        };
        if (wanted is not null)
        {
            yield return new ValidationResult(wanted, [nameof(Window)]);
        }

        foreach (var (name, value) in new[] { (nameof(Size), Size), (nameof(Every), Every), (nameof(Gap), Gap), (nameof(Idle), Idle) })
        {
            if (value <= TimeSpan.Zero)
            {
                yield return new ValidationResult($"{name.ToLowerInvariant()} is longer than nothing", [name]);
            }
        }

        if (Window == WindowKind.Sliding && (Every > Size || Size > Every * 1000))
        {
            yield return new ValidationResult($"every is at most size ({Size}) and at least a thousandth of it", [nameof(Every)]);
        }

        if (Lateness < TimeSpan.Zero)
        {
            yield return new ValidationResult("lateness is at least 0", [nameof(Lateness)]);
        }

        foreach (var (name, aggregate) in Aggregates)
        {
            if (Fault(name, aggregate) is { } fault)
            {
                yield return new ValidationResult($"aggregate {name}: {fault}", [nameof(Aggregates)]);
            }
        }
    }

    private static string? Fault(string name, AggregateOption aggregate)
    {
        if (name is "key" or "start" or "end")
        {
            return "the name is taken by the window's own field";
        }

        if (aggregate.Of is null)
        {
            return aggregate.Op == AggregateOp.Count ? null : $"{Enum.GetName(aggregate.Op)!.ToLowerInvariant()} needs of, for instance data.price";
        }

        return aggregate.Op switch
        {
            AggregateOp.Count when aggregate.Of.Kind is not (Kind.Bool or Kind.Any) => $"of is a condition for count, and gives {aggregate.Of.Kind.Name()}",
            AggregateOp.Sum or AggregateOp.Avg when !aggregate.Of.Kind.IsNumber() && aggregate.Of.Kind != Kind.Any => $"numbers are needed, and of gives {aggregate.Of.Kind.Name()}",
            _ => null,
        };
    }
}
