using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Settings of <c>generate</c>.</summary>
internal sealed record GenerateOptions
{
    [Range(0, 1_000_000_000_000)]
    [Description("Events to make; 0 = without end.")]
    public long Count { get; init; } = 1000;

    [Hot]
    [Range(0, 1e9)]
    [Description("Events a second; 0 = as fast as they are taken. An event that is late is not left out: the pace catches up.")]
    public double Rate { get; init; }

    [Description("Start of the random values; the same seed gives the same events.")]
    public long Seed { get; init; }

    [Range(1, 1_000_000_000)]
    [Description("How many different keys the events bear: key-0, key-1 and so on, in turn.")]
    public int Keys { get; init; } = 16;

    [Range(0, 1 << 20)]
    [Description("Bytes of a field \"pad\" that makes events as large as one likes; 0 = no such field.")]
    public int PadBytes { get; init; }
}

/// <summary>Makes events out of nothing.</summary>
[Component("generate", Type = ComponentType.Source, Replayable = true,
    Summary = "Makes events for trials and tests: {\"n\": number, \"key\": one of a few, \"value\": random in 0..1}. The n-th event is the same in every run with the same seed.")]
internal sealed class GenerateSource(GenerateOptions options) : Source<JsonElement>
{
    // "key-N" is asked for again and again; beyond this many it is made anew each time.
    private const int KeptKeys = 4096;

    private readonly string?[] _keys = new string?[Math.Min(options.Keys, KeptKeys)];
    private readonly byte[] _pad = [.. Enumerable.Repeat((byte)'x', options.PadBytes)];
    private readonly PayloadWriter _payload = new();
    private const int TellEvery = 1024;

    private TimeProvider _time = TimeProvider.System;
    private IComponentMetrics _metrics = null!;
    private long _told = -1;
    private long _next;
    private long _first;
    private long _started;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _time = ctx.Time;
        _metrics = ctx.Metrics;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask ReconfigureAsync(object changed, CancellationToken ct)
    {
        // The pace counts anew from here.
        options = (GenerateOptions)changed;
        _first = _next;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        _first = _next = next.GetValueOrDefault("0");
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        var ends = stopping.IsCancellationRequested || (options.Count > 0 && _next >= options.Count);
        var wait = ends ? TimeSpan.Zero : UntilDue();
        if (ends || wait > TimeSpan.Zero || (_next & (TellEvery - 1)) == 0)
        {
            TellLag(wait);
        }

        if (ends)
        {
            return new(Read<JsonElement>.End);
        }

        return wait > TimeSpan.Zero ? WaitAsync(wait, stopping, ct) : new(Make());
    }

    // The pace counts from the first event of this run, so that rounding never adds up.
    private TimeSpan UntilDue()
    {
        var rate = options.Rate; // may be changed meanwhile
        if (rate <= 0)
        {
            return TimeSpan.Zero;
        }

        if (_next == _first)
        {
            _started = _time.GetTimestamp();
            return TimeSpan.Zero;
        }

        return TimeSpan.FromSeconds((_next - _first) / rate) - _time.GetElapsedTime(_started);
    }

    // With a pace, what is due and not yet made; else what is still to make, where that is known.
    private void TellLag(TimeSpan wait)
    {
        var rate = options.Rate;
        var behind = rate > 0 ? (long)(Math.Max(0, -wait.TotalSeconds) * rate) : options.Count > 0 ? options.Count - _next : 0;
        if (behind != _told)
        {
            _told = behind;
            _metrics.Set("behind_events", behind);
        }
    }

    private async ValueTask<Read<JsonElement>> WaitAsync(TimeSpan wait, CancellationToken stopping, CancellationToken ct)
    {
        while (wait > TimeSpan.Zero)
        {
            if (!await Waiting.ForAsync(wait, _time, stopping, ct).ConfigureAwait(false))
            {
                return Read<JsonElement>.End;
            }

            wait = UntilDue();
        }

        return Make();
    }

    private Read<JsonElement> Make()
    {
        var n = _next++;
        var key = KeyOf((int)(n % options.Keys));
        var json = _payload.Begin();
        json.WriteNumber("n"u8, n);
        json.WriteString("key"u8, key);
        json.WriteNumber("value"u8, ValueOf(options.Seed, n));
        if (_pad.Length > 0)
        {
            json.WriteString("pad"u8, _pad);
        }

        return Read<JsonElement>.Item(_payload.End(), n, n + 1) with { Key = key };
    }

    private string KeyOf(int number) => number < _keys.Length
        ? _keys[number] ??= string.Create(CultureInfo.InvariantCulture, $"key-{number}")
        : string.Create(CultureInfo.InvariantCulture, $"key-{number}");

    // SplitMix64 of the event's number: any event can be made without those before it. 53 bits, as a double has.
    internal static double ValueOf(long seed, long n)
    {
        var z = unchecked((ulong)seed + ((ulong)(n + 1) * 0x9E3779B97F4A7C15));
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
