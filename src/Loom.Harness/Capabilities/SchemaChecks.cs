using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Loom.Harness.Schemas;

namespace Loom.Harness.Capabilities;

/// <summary>Finds the check of a component's input schema: over bytes for JSON, over properties for simple records, through JSON for anything else.</summary>
internal sealed class SchemaChecks(SystemPlan system) : ISchemaChecks
{
    public Func<TIn, ItemException?>? Of<TIn>(ComponentPlan plan)
    {
        var port = plan.Ports.FirstOrDefault(p => p.Class == SemanticClass.DataIn && p.SchemaId is not null);
        if (port is null || !system.Schemas.TryGetValue(port.SchemaId!, out var schema))
        {
            return null;
        }

        var id = $"{schema.Id} {schema.Version}";
        if (typeof(TIn) != typeof(JsonElement) && ClrSchemaValidator.TryCompile<TIn>(schema.Schema, JsonConversion.TypeInfo(typeof(TIn))?.Options.PropertyNamingPolicy) is { } clr)
        {
            return data => Refuse(clr.Check(data), id);
        }

        var validator = JsonSchemaValidator.Compile(schema.Schema);
        return data => Refuse(validator.Check(Errors.PayloadJson.Of(data)), id);
    }

    private static ItemException? Refuse(SchemaFault? fault, string schema) =>
        fault is null ? null : new ItemException("schema_invalid", $"{fault} (schema {schema})");
}
