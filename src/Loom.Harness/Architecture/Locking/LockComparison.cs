using Loom.Harness.Architecture.Checks;

namespace Loom.Harness.Architecture.Locking;

/// <summary>Tells every difference between what was agreed and what is there: each changed path, each changed chain.</summary>
internal static class LockComparison
{
    public static void Run(LockContent locked, LockContent now, FindingList findings)
    {
        if (locked.LockHash != locked.ComputeHash())
        {
            Tell(Codes.LockHash, "the file was changed by hand: lock_hash does not fit its content");
        }

        if ((locked.System, locked.Version) != (now.System, now.Version))
        {
            Tell(Codes.GraphChanged, $"locked is {locked.System} {locked.Version}, and the architecture is {now.System} {now.Version}");
        }

        foreach (var path in locked.Inputs.Keys.Union(now.Inputs.Keys).Order(StringComparer.Ordinal))
        {
            var (before, after) = (locked.Inputs.GetValueOrDefault(path), now.Inputs.GetValueOrDefault(path));
            if (before != after)
            {
                Tell(Codes.InputChanged, $"{path} {(before is null ? "is new" : after is null ? "is no input any more" : "has changed")}");
            }
        }

        foreach (var name in locked.Components.Keys.Union(now.Components.Keys).Order(StringComparer.Ordinal))
        {
            Component(name, locked.Components.GetValueOrDefault(name), now.Components.GetValueOrDefault(name), Tell);
        }

        if (!locked.SetupOrder.SequenceEqual(now.SetupOrder))
        {
            Tell(Codes.GraphChanged, $"the order of setup was {string.Join(", ", locked.SetupOrder)}, and is {string.Join(", ", now.SetupOrder)}");
        }

        if (locked.Graph != now.Graph)
        {
            Tell(Codes.GraphChanged, "the graph has changed: components, ports or bindings");
        }

        void Tell(string code, string difference) => findings.Error(code, LockContent.FileName, 0, 0, $"{difference}; look at it, then: loom harness lock");
    }

    private static void Component(string name, LockedComponent? before, LockedComponent? after, Action<string, string> tell)
    {
        if (before is null || after is null)
        {
            tell(Codes.ComponentChanged, $"component {name} {(before is null ? "is new" : "is gone")}");
            return;
        }

        if (before.Uses != after.Uses)
        {
            tell(Codes.ComponentChanged, $"component {name} used {OneLine(before.Uses)}, and uses {OneLine(after.Uses)}");
        }
        else if (before.Implementation != after.Implementation)
        {
            tell(Codes.ComponentChanged, $"the code of component {name} has changed ({OneLine(after.Uses)})");
        }

        if (before.Config != after.Config)
        {
            tell(Codes.ComponentChanged, $"the config of component {name} has changed");
        }

        if (!before.Chain.Select(c => c.Name).SequenceEqual(after.Chain.Select(c => c.Name)))
        {
            tell(Codes.ChainChanged, $"the chain of {name} was {Chain(before)}, and is {Chain(after)}");
        }
        else if (before.Chain.Zip(after.Chain).FirstOrDefault(p => p.First != p.Second) is ({ } old, { } changed))
        {
            tell(Codes.ChainChanged, old.Config != changed.Config
                ? $"the settings of {old.Name} in the chain of {name} were {OneLine(old.Config)}, and are {OneLine(changed.Config)}"
                : $"{old.Name} in the chain of {name} stood at tier {old.Tier}, and stands at {changed.Tier}");
        }
    }

    private static string Chain(LockedComponent component) => string.Join(" > ", component.Chain.Select(c => c.Name));

    private static string OneLine(string json) => string.Join(' ', json.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
