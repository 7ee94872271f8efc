using System.Text.Json;

namespace Loom.Components;

/// <summary>
/// Watches a system and tells its components what to do. It reads the ports <c>metrics</c> and <c>control</c>, neither of which must be bound, sends operations (<see cref="ControlOperation"/>) by its
/// port <c>control</c>, and may act every <see cref="ItemComponent{TIn, TOut}.Tick"/>. It ends when no data component runs any more, and belongs to no checkpoint.
/// </summary>
public abstract class Controller : ItemComponent<JsonElement, JsonElement>
{
    private string _name = "";
    private long _sent;

    /// <inheritdoc />
    protected internal sealed override IReadOnlyList<string> Inputs => ["metrics", "control"];

    /// <inheritdoc />
    protected internal sealed override IReadOnlyList<string> Outputs => ["control"];

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        _name = ctx.Name;
        return default;
    }

    /// <summary>One event of the port <c>metrics</c>.</summary>
    protected virtual ValueTask OnMetricsAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;

    /// <summary>One event of the port <c>control</c>: what somebody else tells this controller.</summary>
    protected virtual ValueTask OnControlAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;

    /// <summary>An operation as an event of this controller.</summary>
    protected Event<JsonElement> Event(ControlOperation operation, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(operation);
        return new Event<JsonElement>(EventId.Root($"{_name}:control", _sent++), operation.ToJson(), operation.Component, now);
    }

    internal sealed override ValueTask HandleAsync(int port, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) =>
        port == 0 ? OnMetricsAsync(e, output, ct) : OnControlAsync(e, output, ct);
}
