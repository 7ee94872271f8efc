using System.Text.Json.Serialization;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Guarantees;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components;
using Loom.Harness.Components.Options;

namespace Loom.Cli.Harness;

/// <summary>What <c>check</c> says, in one document; the text is written from it.</summary>
internal sealed record CheckReport(
    bool Ok, string? System, string? Version, int Components, int Bindings, string Lock, FindingRow[] Findings, GuaranteeRow[] Guarantees, ConversionRow[] Conversions, ChainRow[] Chains, SchemaRow[] Schemas)
{
    public static CheckReport Of(LoadResult loaded, IReadOnlyList<Finding> findings, string locked, string? adapter)
    {
        var plan = loaded.Plan;
        var ports = plan?.Components.ToDictionary(c => c.Name, c => c.Ports, StringComparer.Ordinal) ?? [];
        return new CheckReport(
            !loaded.HasErrors && locked is not "differs", plan?.Name, plan?.Version, plan?.Components.Count ?? 0, plan?.Bindings.Count ?? 0, locked, FindingText.Rows(findings),
            plan is null ? [] : [.. GuaranteeRules.Of(plan, adapter).Select(g => new GuaranteeRow(g.Source, g.Sink, OptionKey.NameOf(g.Delivery.ToString()), g.WeakestLink, [.. g.Repeats]))],
            plan is null ? [] : [.. plan.Bindings.Select(b => Conversion(ports, b)).OfType<ConversionRow>()],
            plan is null ? [] : [.. plan.Components.Select(c => new ChainRow(c.Name, [.. c.Capabilities.Select(k => k.Name)]))],
            plan is null ? [] : [.. plan.Schemas.Values.Select(s => new SchemaRow(s.Id, s.Version, SchemaUse.IsCompiled(s.Schema) ? "compiled" : "library"))]);
    }

    private static ConversionRow? Conversion(Dictionary<string, IReadOnlyList<PortPlan>> ports, BindingPlan binding)
    {
        var from = ports[binding.FromComponent].First(p => !p.IsInput && p.Name == binding.FromPort).Data;
        var to = ports[binding.ToComponent].First(p => p.IsInput && p.Name == binding.ToPort).Data;
        return JsonConversion.Between(from, to) is { } conversion ? new ConversionRow(binding.Name, GraphDocument.TypeName(from), GraphDocument.TypeName(to), conversion.Reason) : null;
    }
}

/// <summary>A path from a source to a sink.</summary>
internal sealed record GuaranteeRow(string Source, string Sink, string Delivery, string? WeakestLink, string[] Repeats);

/// <summary>A binding whose ends have different payloads.</summary>
internal sealed record ConversionRow(string Binding, string From, string To, string How);

/// <summary>A component's capabilities in order of execution.</summary>
internal sealed record ChainRow(string Component, string[] Capabilities);

/// <summary>A schema and how it is checked: compiled over the bytes, or by the library.</summary>
internal sealed record SchemaRow(string Id, string Version, string Path);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(CheckReport))]
internal sealed partial class CheckJson : JsonSerializerContext;
