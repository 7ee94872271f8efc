using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Transform;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>
/// Brings events of two inputs together by key. An event waits until no partner can come any more: until the other input has moved on by more
/// than the window (and the lateness), or, by the clock, until the window has passed.
/// </summary>
[Component("join", Type = ComponentType.StreamProcessor, StateVersion = 1, OneAtATime = true,
    Summary = "Joins the events of its inputs left and right by key within a window of time: {key, left, right}. What waits is part of checkpoints.")]
internal sealed class JoinProcessor(JoinOptions options, TimeProvider time) : StreamProcessor<JsonElement, JsonElement>
{
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    private readonly long _window = options.Window.Ticks;
    private JoinSide _left = new();
    private JoinSide _right = new();
    private string _name = "join";

    protected internal override IReadOnlyList<string> Inputs { get; } = ["left", "right"];

    protected internal override TimeSpan? Tick => options.Time == WindowTime.Processing ? s_tick : null;

    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _name = ctx.Name;
        return default;
    }

    protected override async ValueTask OnItemAsync(string port, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var isLeft = port == "left";
        var (mine, theirs) = isLeft ? (_left, _right) : (_right, _left);
        var key = options.KeyOf(isLeft).Key(e);
        if (mine.Count >= options.MaxEvents)
        {
            throw new ItemException("join_full", $"{mine.Count} events of the input {port} wait, as many as max_events allows; shorten window, raise max_events or see why the other input lags");
        }

        var ticks = options.Time == WindowTime.Processing ? time.GetUtcNow().UtcTicks : e.Time.UtcTicks;
        var waiting = new Waiting(key, e, ticks);
        mine.Add(waiting);
        foreach (var partner in theirs.Near(key, ticks, _window))
        {
            waiting.Matched = partner.Matched = true;
            var (left, right) = isLeft ? (waiting, partner) : (partner, waiting);
            await SendAsync(left, right, output, ct).ConfigureAwait(false);
        }

        await ExpireAsync(theirs, ticks, !isLeft, output, ct).ConfigureAwait(false);
        if (options.Time == WindowTime.Processing)
        {
            await ExpireAsync(mine, ticks, isLeft, output, ct).ConfigureAwait(false);
        }
    }

    protected internal override async ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (options.Time == WindowTime.Processing)
        {
            await ExpireAsync(_left, now.UtcTicks, isLeft: true, output, ct).ConfigureAwait(false);
            await ExpireAsync(_right, now.UtcTicks, isLeft: false, output, ct).ConfigureAwait(false);
        }
    }

    protected internal override async ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        while (end && _left.TakeOlderThan(long.MaxValue) is { } left)
        {
            await SendUnmatchedAsync(left, output, ct).ConfigureAwait(false);
        }
    }

    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        var (left, right) = (_left.Freeze(), _right.Freeze());
        long[] newest = [_left.Newest, _right.Newest];
        return new(async (into, token) =>
        {
            await StateLines.WriteAsync(into, newest, static (json, n) => json.WriteNumberValue(n), token).ConfigureAwait(false);
            await StateLines.WriteAsync(into, left, static (json, w) => JoinState.Write(json, "left", w), token).ConfigureAwait(false);
            await StateLines.WriteAsync(into, right, static (json, w) => JoinState.Write(json, "right", w), token).ConfigureAwait(false);
        });
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var newest = new List<long>(2);
        (_left, _right) = (new JoinSide(), new JoinSide());
        await foreach (var line in StateLines.ReadAsync(state.Content, ct).ConfigureAwait(false))
        {
            if (line.ValueKind == JsonValueKind.Number)
            {
                newest.Add(line.GetInt64());
            }
            else
            {
                (line.GetProperty("side"u8).ValueEquals("left"u8) ? _left : _right).Add(JoinState.Read(line));
            }
        }

        (_left.Newest, _right.Newest) = (newest[0], newest[1]);
    }

    private async ValueTask ExpireAsync(JoinSide side, long ticks, bool isLeft, Emitter<JsonElement> output, CancellationToken ct)
    {
        // The side's partners are no older than this any more.
        var reached = options.Time == WindowTime.Processing ? ticks : (isLeft ? _right : _left).Newest - options.Lateness.Ticks;
        while (side.TakeOlderThan(reached - _window) is { } gone)
        {
            if (isLeft)
            {
                await SendUnmatchedAsync(gone, output, ct).ConfigureAwait(false);
            }
        }
    }

    private ValueTask SendUnmatchedAsync(Waiting left, Emitter<JsonElement> output, CancellationToken ct) =>
        options.Type == JoinType.Left && !left.Matched ? SendAsync(left, null, output, ct) : default;

    private ValueTask SendAsync(Waiting left, Waiting? right, Emitter<JsonElement> output, CancellationToken ct)
    {
        var payload = Payloads.Writer;
        var json = payload.Begin();
        json.WriteString("key"u8, left.Key);
        json.WritePropertyName("left"u8);
        left.Event.Data.WriteTo(json);
        json.WritePropertyName("right"u8);
        if (right is null)
        {
            json.WriteNullValue();
        }
        else
        {
            right.Event.Data.WriteTo(json);
        }

        var e = left.Event.Derive(payload.End()).WithId(EventId.Parse($"{_name}/{left.Event.Id}+{right?.Event.Id.ToString()}")).WithKey(left.Key);
        e = right is not null && right.Event.Time > e.Time ? e.WithTime(right.Event.Time) : e;
        return output.SendAsync(right?.Event.Mock == true ? e.AsMock() : e, ct);
    }
}
