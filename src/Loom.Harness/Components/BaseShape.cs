using Loom.Components;

namespace Loom.Harness.Components;

/// <summary>What the base of a component says: payloads, role, and who runs the loop.</summary>
/// <param name="Input">Payload of its data inputs; null when the base gives none.</param>
/// <param name="Output">Payload of its data outputs; null when the base gives none.</param>
/// <param name="Type">Role of the base.</param>
/// <param name="HarnessRunsLoop">False for a class with a loop of its own.</param>
internal sealed record BaseShape(Type? Input, Type? Output, ComponentType Type, bool HarnessRunsLoop)
{
    public static BaseShape Of(Type type)
    {
        for (var each = type; each is not null; each = each.BaseType)
        {
            if (each == typeof(Controller))
            {
                return new BaseShape(null, null, ComponentType.Controller, true);
            }

            if (!each.IsGenericType)
            {
                continue;
            }

            var open = each.GetGenericTypeDefinition();
            var of = each.GetGenericArguments();
            BaseShape? shape =
                open == typeof(Source<>) ? new(null, of[0], ComponentType.Source, true)
                : open == typeof(Sink<>) ? new(of[0], null, ComponentType.Sink, true)
                : open == typeof(Router<>) ? new(of[0], of[0], ComponentType.Router, true)
                : open == typeof(Accumulator<,,>) ? new(of[0], of[2], ComponentType.Accumulator, true)
                : open == typeof(StreamProcessor<,>) ? new(of[0], of[1], ComponentType.StreamProcessor, true)
                : open == typeof(Store<,>) ? new(typeof(System.Text.Json.JsonElement), typeof(System.Text.Json.JsonElement), ComponentType.Store, true)
                : open == typeof(Transformer<,>) ? new(of[0], of[1], ComponentType.Transformer, true)
                : open == typeof(ItemComponent<,>) ? new(of[0], of[1], ComponentType.StreamProcessor, true)
                : null;
            if (shape is not null)
            {
                return shape;
            }
        }

        return new BaseShape(null, null, ComponentType.StreamProcessor, false);
    }
}
