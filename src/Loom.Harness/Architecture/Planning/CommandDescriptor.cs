using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components;

namespace Loom.Harness.Architecture.Planning;

/// <summary>What is known of a component in another language: its ports come from the YAML, its config is handed over as it is.</summary>
internal static class CommandDescriptor
{
    public static ComponentDescriptor Of(ComponentType type) => new()
    {
        Name = "command",
        Type = type,
        Summary = "A program that speaks NDJSON on its standard streams.",
        ExecutesChain = true,
        Options = typeof(JsonElement),
        Ports = static _ => ComponentDescriber.Implicit,
    };
}
