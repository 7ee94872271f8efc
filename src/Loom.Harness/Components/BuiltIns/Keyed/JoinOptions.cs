using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Which pairs a join gives.</summary>
internal enum JoinType
{
    /// <summary>Pairs only.</summary>
    Inner,

    /// <summary>Pairs, and each left event that found none, with null on the right.</summary>
    Left,
}

/// <summary>Settings of <c>join</c>.</summary>
internal sealed record JoinOptions : IPortNames, IValidatableObject
{
    [Description("What joins events of both inputs, for instance data.order_id; a value per input where left_key and right_key are given.")]
    public Expression? Key { get; init; }

    [Description("What joins events of the input left, where it is called otherwise there.")]
    public Expression? LeftKey { get; init; }

    [Description("What joins events of the input right, where it is called otherwise there.")]
    public Expression? RightKey { get; init; }

    [Description("inner gives pairs; left gives also each left event that found no partner, with right: null, once its time is over.")]
    public JoinType Type { get; init; }

    [Description("How far apart in time two events may be and still be a pair.")]
    public required TimeSpan Window { get; init; }

    [Description("event: the times of the events decide. processing: the times of their arrival.")]
    public WindowTime Time { get; init; }

    [Description("How much older than the newest event of its input one may be and still find its partner waiting, in event time.")]
    public TimeSpan Lateness { get; init; } = TimeSpan.Zero;

    [Range(1, 100_000_000)]
    [Description("Events that may wait on each side; one more is an item error with the code join_full.")]
    public int MaxEvents { get; init; } = 100_000;

    IReadOnlyList<string>? IPortNames.InputNames => ["left", "right"];

    IReadOnlyList<string>? IPortNames.OutputNames => null;

    /// <summary>The key of one input.</summary>
    public Expression KeyOf(bool left) => (left ? LeftKey : RightKey) ?? Key!;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Key is null && (LeftKey is null || RightKey is null))
        {
            yield return new ValidationResult("a join needs key, or left_key and right_key");
        }

        if (Window < TimeSpan.Zero || Lateness < TimeSpan.Zero)
        {
            yield return new ValidationResult("window and lateness are at least 0", [nameof(Window)]);
        }
    }
}
