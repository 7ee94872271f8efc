using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components;

namespace Loom.Fast.Tests.Harness.Architecture;

/// <summary>Components that do nothing but have a shape.</summary>
internal static class Parts
{
    public enum BadLine
    {
        DeadLetter,
        SkipLine,
    }

    public sealed record LinesOptions
    {
        [Description("Path of the file.")]
        public required string Path { get; init; }

        [Description("Keep reading at its end.")]
        public bool Follow { get; init; }

        [Description("What a bad line leads to.")]
        public BadLine OnBadLine { get; init; }

        [Description("Pause before a changed file is read, in ms.")]
        [Range(0, 60_000)]
        public TimeSpan SettleMs { get; init; } = TimeSpan.FromMilliseconds(500);
    }

    [Component("lines", Type = ComponentType.Source, Summary = "Lines of a file.", Replayable = true)]
    public sealed class Lines(LinesOptions options, TimeProvider time) : Source<JsonElement>
    {
        public LinesOptions Options => options;

        public TimeProvider Time => time;

        protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<JsonElement>.End);
    }

    [Component("tick", Type = ComponentType.Source, Summary = "Ticks.")]
    public sealed class Tick : Source<JsonElement>
    {
        protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<JsonElement>.End);
    }

    public sealed record EachOptions
    {
        [Range(1, 100)]
        public int Copies { get; init; } = 1;

        public IReadOnlyList<string> Fields { get; init; } = [];

        public IReadOnlyDictionary<string, int> Weights { get; init; } = new Dictionary<string, int>();

        public Limits Limits { get; init; } = new();

        public TimeSpan Every { get; init; }

        public Uri? Url { get; init; }

        public double Ratio { get; init; }

        public long MaxBytes { get; init; }

        [AllowedValues("fast", "good")]
        public string Quality { get; init; } = "good";

        public JsonElement Free { get; init; }

        public int? Maybe { get; init; }
    }

    public sealed record Limits : IValidatableObject
    {
        public int Low { get; init; }

        public int High { get; init; } = 10;

        public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
        {
            if (Low > High)
            {
                yield return new ValidationResult($"low {Low} is above high {High}", [nameof(Low)]);
            }
        }
    }

    [Component("each", Type = ComponentType.Transformer, Summary = "One becomes another.")]
    public sealed class Each(EachOptions options) : Transformer<JsonElement, JsonElement>
    {
        public EachOptions Options => options;

        protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;
    }

    public sealed record SplitOptions : IPortNames
    {
        public IReadOnlyList<string> Ports { get; init; } = ["left", "right"];

        public IReadOnlyList<string>? InputNames => null;

        public IReadOnlyList<string>? OutputNames => Ports;
    }

    [Component("choose", Type = ComponentType.Router, Summary = "To one of several.")]
    public sealed class Choose(SplitOptions options) : Router<JsonElement>
    {
        public SplitOptions Options => options;

        protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;
    }

    [Component("count", Type = ComponentType.Accumulator, Summary = "Counts.", StateVersion = 1)]
    public sealed class Count : Accumulator<JsonElement, long, JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;
    }

    [Component("keep", Type = ComponentType.Sink, Summary = "Keeps.", Idempotent = true)]
    public sealed class Keep : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct) => default;
    }

    [Component("print", Type = ComponentType.Sink, Summary = "Prints.")]
    public sealed class Print : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct) => default;
    }
}
