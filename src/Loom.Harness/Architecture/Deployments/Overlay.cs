using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Deployments;

/// <summary>Lays overrides over the entries of the architecture. Every value keeps the place it was written at.</summary>
internal static class Overlay
{
    /// <summary>A component's entry with its override; maps are merged key by key, everything else is replaced.</summary>
    public static YamlMapping Component(YamlMapping entry, YamlMapping over, FindingList findings)
    {
        var plain = new YamlMapping(over.File, over.Line, over.Column, [.. over.Entries.Where(e => e.Key.Text is "config" or "batching" or "concurrency" or "restart")]);
        var merged = Merge(entry, plain);
        if (over.Find("batching") is { } batching && entry.Find("batching") is null && entry.Find("processing_mode") is not YamlScalar { Text: "batch" or "hybrid" })
        {
            findings.Error(Codes.NewCapability, batching, "batching cannot be added by a deployment, only changed; add it to the component in architecture.yaml and lock it");
        }

        return over.Find("capabilities") is { } capabilities ? Replace(merged, "capabilities", Chain(entry.Find("capabilities"), capabilities, findings)) : merged;
    }

    /// <summary>Both maps in one; where both have a map, their keys are joined, and else the second wins.</summary>
    public static YamlMapping Merge(YamlMapping below, YamlMapping above)
    {
        var entries = below.Entries.ToList();
        foreach (var entry in above.Entries)
        {
            var at = entries.FindIndex(e => e.Key.Text == entry.Key.Text);
            if (at < 0)
            {
                entries.Add(entry);
            }
            else
            {
                entries[at] = new YamlEntry(entries[at].Key, entries[at].Value is YamlMapping old && entry.Value is YamlMapping changed ? Merge(old, changed) : entry.Value);
            }
        }

        return new YamlMapping(below.File, below.Line, below.Column, entries);
    }

    private static YamlMapping Replace(YamlMapping map, string key, YamlNode value)
    {
        var entries = map.Entries.Where(e => e.Key.Text != key).ToList();
        entries.Add(new YamlEntry(new YamlScalar(value.File, value.Line, value.Column, key, ScalarStyle.Plain), value));
        return new YamlMapping(map.File, map.Line, map.Column, entries);
    }

    // Settings of capabilities that are there already: those that are declared, and the kernel's, which always are.
    private static YamlSequence Chain(YamlNode? declared, YamlNode over, FindingList findings)
    {
        var items = (declared as YamlSequence)?.Items.ToList() ?? [];
        foreach (var (key, config) in Entries(over, findings))
        {
            if (config.Entries.FirstOrDefault(e => e.Key.Text == "tier") is { Key: { } tier })
            {
                findings.Error(Codes.Architectural, tier, "\"tier\" says what the system is, and cannot stand in a deployment; the order of a chain never changes there");
            }

            var at = items.FindIndex(i => NameOf(i) == key.Text);
            var kernel = Chains.StandardCapability.All.Any(c => c.Kernel && c.Name == key.Text);
            if (at < 0 && !kernel)
            {
                var names = items.Select(NameOf).OfType<string>().Concat(Chains.StandardCapability.All.Where(c => c.Kernel).Select(c => c.Name)).ToList();
                var near = Nearest.Of(key.Text, names);
                findings.Error(Codes.NewCapability, key,
                    $"the component has no capability {Redaction.Plain(key.Text)}; {(near is null ? "" : $"did you mean {near}? ")}a deployment changes the settings of a capability and adds none: add it to architecture.yaml and lock it");
                continue;
            }

            var old = at < 0 ? null : ConfigOf(items[at]);
            var merged = old is null ? config : Merge(old, config);
            var item = new YamlMapping(key.File, key.Line, key.Column, [new YamlEntry(at < 0 ? key : KeyOf(items[at]), merged)]);
            if (at < 0)
            {
                items.Add(item);
            }
            else
            {
                items[at] = item;
            }
        }

        return new YamlSequence(over.File, over.Line, over.Column, items);
    }

    // A list as in the architecture, or a map from name to settings.
    private static IEnumerable<(YamlScalar Key, YamlMapping Config)> Entries(YamlNode over, FindingList findings)
    {
        var maps = over switch
        {
            YamlMapping map => map.Entries,
            YamlSequence list => list.Items.OfType<YamlMapping>().SelectMany(m => m.Entries),
            _ => [],
        };
        foreach (var entry in maps)
        {
            if (entry.Value is YamlMapping config)
            {
                yield return (entry.Key, config);
            }
            else
            {
                findings.Error(Codes.WrongType, entry.Value, $"capability {Redaction.Plain(entry.Key.Text)} is {entry.Value.Kind}; write a map of its settings");
            }
        }

        if (over is YamlScalar || (over is YamlSequence items && items.Items.Any(i => i is not YamlMapping)))
        {
            findings.Error(Codes.WrongType, over, "capabilities of an override is a map from a capability to the settings that change: { Retry: { max_attempts: 5 } }");
        }
    }

    private static string? NameOf(YamlNode item) => item switch
    {
        YamlScalar name => name.Text,
        YamlMapping { Entries: [var only] } => only.Key.Text,
        _ => null,
    };

    private static YamlScalar KeyOf(YamlNode item) => item as YamlScalar ?? ((YamlMapping)item).Entries[0].Key;

    private static YamlMapping? ConfigOf(YamlNode item) => item is YamlMapping { Entries: [{ Value: YamlMapping config }] } ? config : null;
}
