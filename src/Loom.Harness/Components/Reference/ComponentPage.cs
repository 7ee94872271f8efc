using System.Globalization;
using System.Text;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Architecture.Planning;

namespace Loom.Harness.Components.Reference;

/// <summary>The reference page of all built-ins and capabilities, from the same data as the command.</summary>
internal static class ComponentPage
{
    public static string Write(ComponentCatalog catalog)
    {
        var text = new StringBuilder();
        text.Append("""
            # Components of the harness

            Written from the components themselves by `loom config reference docs/reference`; do not edit. `loom harness components NAME` tells the same about one of
            them, with the JSON Schema of its config under `--json`.

            Every component also has the output `errors` (records of failed events), which need not be bound: what fails goes to the system's dead letters then; and the input
            `control` (operations: pause, resume, set_rate, set_config of keys marked *hot*), which need not be bound either.

            The examples are run by the tests: `components` stand in an architecture.yaml as they are; `given` and `expect` are those of a *.test.yaml; `files` and `sql` are there before,
            `then` afterwards.

            """);
        foreach (var group in catalog.All.GroupBy(d => d.Type))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {ComponentPlanner.NameOf(group.Key)}\n");
            foreach (var descriptor in group)
            {
                One(text, ComponentSheet.Of(descriptor));
            }
        }

        Capabilities(text);
        return text.ToString();
    }

    /// <summary>One component in Markdown.</summary>
    private static void One(StringBuilder text, ComponentSheet sheet)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n### `{sheet.Name}`\n\n{Cell(sheet.Summary)}\n\n");
        foreach (var guarantee in sheet.Guarantees)
        {
            text.Append(CultureInfo.InvariantCulture, $"- {guarantee}\n");
        }

        if (sheet.Concurrency > 1)
        {
            text.Append(CultureInfo.InvariantCulture, $"- {sheet.Concurrency} events in work at once by default\n");
        }

        if (sheet.BatchItems > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"- batches of {sheet.BatchItems} by default\n");
        }

        var ports = string.Join(", ", sheet.Ports.Select(p => $"`{p.Name}` ({p.Class}{(p.Required ? ", required" : "")})"));
        text.Append(CultureInfo.InvariantCulture, $"- ports: {(ports.Length == 0 ? "none" : ports)}{(sheet.PortsFollowConfig ? "; their names follow from the config" : "")}\n");
        if (sheet.Keys.Count == 0)
        {
            text.Append("\nIt takes no config.\n");
        }
        else
        {
            Keys(text, sheet.Keys);
        }

        if (sheet.Example.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n```yaml\n{sheet.Example}```\n");
        }
    }

    private static void Capabilities(StringBuilder text)
    {
        text.Append("\n## Capabilities\n\nLower tiers are further out. Kernel tiers are in every chain and can be configured, not removed.\n");
        foreach (var capability in StandardCapability.All.Where(c => c != StandardCapability.Batched && c != StandardCapability.State))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n### `{capability.Name}`\n\nTier {capability.Tier}{(capability.Kernel ? ", kernel" : "")}. ");
            text.Append(capability.Objects.Length == 0 ? "It never objects.\n" : $"When it objects: {capability.Objects}.\n");
            var keys = ComponentSheet.KeysOf(capability.Options, "").ToList();
            if (keys.Count > 0)
            {
                Keys(text, keys);
            }
        }
    }

    private static void Keys(StringBuilder text, IReadOnlyList<SheetKey> keys)
    {
        text.Append("\n| key | default | type | allowed | |\n|---|---|---|---|---|\n");
        foreach (var key in keys)
        {
            var standard = key.Default.Length == 0 ? "" : key.Default == "required" ? "required" : $"`{Cell(key.Default)}`";
            text.Append(CultureInfo.InvariantCulture, $"| `{key.Name}` | {standard} | {key.Type} | {Cell(key.Allowed)} | {Cell(key.Description)}{(key.Hot ? " *hot*" : "")} |\n");
        }
    }

    // A | or a < inside a cell would end it or begin a tag.
    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace("\n", " ", StringComparison.Ordinal);
}
