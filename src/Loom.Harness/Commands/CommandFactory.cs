using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Commands;

/// <summary>Makes components of commands.</summary>
internal static class CommandFactory
{
    public static Component Create(ComponentPlan plan, CommandSurroundings around) =>
        plan.Type == ComponentType.Source ? new CommandSource(plan, around) : new CommandComponent(plan, around);
}
