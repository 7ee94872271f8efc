using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Harness.Components.BuiltIns.Transform;
using Loom.Harness.Expressions;
using Loom.Harness.Secrets;

namespace Loom.Harness.Architecture.Checks;

/// <summary>What a schema marks as secret is taken out of payloads; a key that is made of it goes where no schema follows it.</summary>
internal static class SecretChecks
{
    private const string Carried = "the key goes on with the events also where their payload has lost the field, and is shown then";

    public static void Run(PlacedSystem system, SystemPlan plan, FindingList findings)
    {
        foreach (var component in system.Components.Where(c => c.PortsKnown))
        {
            foreach (var (option, port, key, shown) in Keys(component.Plan))
            {
                if (key is not null && SecretFields.Of(plan, component.Plan.Name, port).ReadBy(key) is { } field)
                {
                    var at = (component.Node.Find("config") as Yaml.YamlMapping)?.Find(option) ?? component.NameNode;
                    findings.Warning(Codes.SecretKey, at, $"the {option} of \"{component.Plan.Name}\" reads {field}, which the schema of its input marks x-secret, and {shown}; hash it first in a component of your own, or take another field");
                }
            }
        }
    }

    // Not dedupe, which shows its keys to nobody.
    private static IEnumerable<(string Option, string Port, Expression? Key, string Shown)> Keys(ComponentPlan component) => component.Options switch
    {
        AccumulateOptions o => [("key", "in", o.Key, "the ids of its events are component/key/window, which letters, logs and traces show")],
        JoinOptions o =>
        [
            (o.LeftKey is null ? "key" : "left_key", "left", o.LeftKey ?? o.Key, Carried),
            (o.RightKey is null ? "key" : "right_key", "right", o.RightKey ?? o.Key, Carried),
        ],
        LookupOptions o => [("key", "in", o.Key, "its requests carry it in a field that no schema marks")],
        MapOptions o => [("key", "in", o.Key, Carried)],
        _ => [],
    };
}
