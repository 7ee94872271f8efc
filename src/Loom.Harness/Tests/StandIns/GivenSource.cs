using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Tests.StandIns;

/// <summary>Feeds a port with the events a test gives, each at its time.</summary>
internal sealed class GivenSource(IReadOnlyList<GivenEvent> events, TimeProvider time) : Source<JsonElement>
{
    private const string Partition = "given";

    private readonly IReadOnlyList<GivenEvent> _events = [.. events.OrderBy(e => e.At)];
    private DateTimeOffset? _start;
    private int _next;

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        _start ??= time.GetUtcNow();
        if (_next == _events.Count)
        {
            return Read<JsonElement>.End;
        }

        var given = _events[_next];
        if (_start + given.At - time.GetUtcNow() is { } wait && wait > TimeSpan.Zero)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
            await Task.Delay(wait, time, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ct.ThrowIfCancellationRequested();
            if (stopping.IsCancellationRequested)
            {
                return Read<JsonElement>.End;
            }
        }

        return new Read<JsonElement> { Data = given.Data, Partition = Partition, Offset = _next, Next = ++_next, Key = given.Key, Time = given.Time ?? default };
    }
}
