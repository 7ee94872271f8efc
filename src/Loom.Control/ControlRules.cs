using System.Collections.Immutable;
using Loom.Control.Placement;
using Loom.Core.Settings;

namespace Loom.Control;

/// <summary>Cross rules that need the control plane's knowledge.</summary>
public static class ControlRules
{
    /// <summary>All of them; the composition adds them to <see cref="Loom.Core.Settings.Rules.CrossRules.All"/>.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [StrategyIsOffered];

    private static void StrategyIsOffered(Draft draft)
    {
        var key = ControlSettings.Strategy.Key;
        if (draft.RunsControlPlane && !draft.IsAtFault(key) && !PlacementStrategies.Offers(draft.Value<PlacementKind>(key)))
        {
            draft.Report("R19", key, "this build does not offer the strategy 'prefix-affinity'", $"use one of {string.Join(", ", PlacementStrategies.Names)}");
        }
    }
}
