using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Tests.StandIns;

/// <summary>Stands where a component would take events that does not run in this case.</summary>
internal sealed class Swallow(IReadOnlyList<string> ports) : ItemComponent<JsonElement, JsonElement>
{
    /// <inheritdoc />
    protected internal override IReadOnlyList<string> Inputs => ports;

    /// <inheritdoc />
    protected internal override IReadOnlyList<string> Outputs => [];

    internal override ValueTask HandleAsync(int port, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => default;
}
