using System.Collections.Immutable;

namespace Loom.Core.Settings.Rules;

/// <summary>The cross rules whose settings are declared in this build; each file holds those of one subject. Rooms may add rules of their own.</summary>
public static class CrossRules
{
    /// <summary>All of them.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } =
    [
        ProfileRules.TokenInCloud, ProfileRules.NodeInCloud, ProfileRules.ProfileContradiction, ProfileRules.OtherProfileOnly, ProfileRules.NodeWithoutControlPlane,
        ListenerRules.OpenWithoutToken, ListenerRules.OnePortTwice,
        HandoffRules.OneFolder, HandoffRules.FolderOthersCanWrite, HandoffRules.FolderOthersCanRead,
        ReferenceRules.Alternatives, ReferenceRules.Pools, ReferenceRules.Engines, ReferenceRules.Aliases,
        TimingRules.Heartbeat, TimingRules.StaleCheck,
        MockRules.InProduction, SecretRules.ShortToken, SecretRules.WrittenOut, LogRules.Directive,
    ];
}
