using System.Buffers.Binary;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What becomes of ticks whose time has passed unseen.</summary>
internal enum MissedTicks
{
    /// <summary>They are left out; the event that comes next tells how many.</summary>
    Skip,

    /// <summary>Each is made, one after the other, with the time it was due.</summary>
    CatchUp,
}

/// <summary>Settings of <c>timer</c>.</summary>
internal sealed record TimerOptions : IValidatableObject
{
    [Description("Time between two ticks, at least 1ms; the first comes after one such time. Ticks keep their distance from the first, however long each takes.")]
    public TimeSpan? Every { get; init; }

    [Description("A schedule instead of every: minute hour day-of-month month day-of-week, as \"*/5 9-17 * * mon-fri\", or @hourly @daily @weekly @monthly @yearly.")]
    public string? Cron { get; init; }

    [Description("Time zone in which cron is read, for instance Europe/Berlin.")]
    public string Zone { get; init; } = "UTC";

    [Description("Ticks whose time passed while the system was busy or, with checkpoints, was not running: skip leaves them out and tells how many, catch_up makes each.")]
    public MissedTicks Missed { get; init; }

    [Range(0, 1_000_000_000_000)]
    [Description("Ticks after which the source ends; 0 = never.")]
    public long Count { get; init; }

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Every is null == Cron is null)
        {
            yield return new ValidationResult("give either every or cron", [nameof(Every)]);
        }

        if (Every is { } every && every < TimeSpan.FromMilliseconds(1))
        {
            yield return new ValidationResult("the shortest time is 1ms", [nameof(Every)]);
        }

        if (Fault(() => Sources.Cron.Parse(Cron ?? "@daily")) is { } schedule)
        {
            yield return new ValidationResult(schedule, [nameof(Cron)]);
        }

        if (Fault(() => TimeZoneInfo.FindSystemTimeZoneById(Zone)) is { } zone)
        {
            yield return new ValidationResult(zone, [nameof(Zone)]);
        }
    }

    private static string? Fault(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception e) when (e is FormatException or TimeZoneNotFoundException or InvalidTimeZoneException)
        {
            return e.Message;
        }
    }
}

/// <summary>One event at each tick of a clock.</summary>
[Component("timer", Type = ComponentType.Source, StateVersion = 1,
    Summary = "Makes an event again and again, every so often or by a cron schedule: {\"time\": when it was due, \"missed\": ticks left out before it}.")]
internal sealed class TimerSource(TimerOptions options) : Source<JsonElement>
{
    private readonly Cron? _cron = options.Cron is { } text ? Cron.Parse(text) : null;
    private readonly TimeZoneInfo _zone = TimeZoneInfo.FindSystemTimeZoneById(options.Zone);
    private readonly PayloadWriter _payload = new();
    private TimeProvider _time = TimeProvider.System;
    private DateTimeOffset? _last;
    private long _ticks;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _time = ctx.Time;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (_last is not { } last)
        {
            return new((StateWriter?)null);
        }

        var bytes = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, last.UtcTicks);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), _ticks);
        return new((into, cancel) => into.WriteAsync(bytes, cancel));
    }

    /// <inheritdoc />
    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var bytes = new byte[16];
        await state.Content.ReadExactlyAsync(bytes, ct).ConfigureAwait(false);
        _last = new DateTimeOffset(BinaryPrimitives.ReadInt64LittleEndian(bytes), TimeSpan.Zero);
        _ticks = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(8));
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        if (stopping.IsCancellationRequested || (options.Count > 0 && _ticks >= options.Count))
        {
            return Read<JsonElement>.End;
        }

        var from = _last ??= _time.GetUtcNow();
        var missed = 0L;
        if (Next(from) is not { } due)
        {
            return Read<JsonElement>.End;
        }

        if (options.Missed == MissedTicks.Skip && due < _time.GetUtcNow())
        {
            (due, missed) = SkipTo(due, _time.GetUtcNow());
        }

        while (due - _time.GetUtcNow() is var wait && wait > TimeSpan.Zero)
        {
            // A clock may be set: look again at least every minute.
            if (!await Waiting.ForAsync(wait < TimeSpan.FromMinutes(1) ? wait : TimeSpan.FromMinutes(1), _time, stopping, ct).ConfigureAwait(false))
            {
                return Read<JsonElement>.End;
            }
        }

        _last = due;
        _ticks++;
        var json = _payload.Begin();
        json.WriteString("time"u8, due);
        json.WriteNumber("missed"u8, missed);
        var offset = (due - DateTimeOffset.UnixEpoch).Ticks;
        return Read<JsonElement>.Item(_payload.End(), offset, offset + 1) with { Time = due };
    }

    private DateTimeOffset? Next(DateTimeOffset after) => _cron is null ? after + options.Every!.Value : _cron.Next(after, _zone);

    // The last tick that is due counts; those before it are missed.
    private (DateTimeOffset Due, long Missed) SkipTo(DateTimeOffset due, DateTimeOffset now)
    {
        if (options.Every is { } every)
        {
            var behind = (now - due).Ticks / every.Ticks;
            return (due + (every * behind), behind);
        }

        var missed = 0L;
        while (Next(due) is { } later && later <= now)
        {
            due = later;
            missed++;
        }

        return (due, missed);
    }
}
