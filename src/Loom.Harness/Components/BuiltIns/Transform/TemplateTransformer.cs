using System.ComponentModel;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Settings of <c>template</c>.</summary>
internal sealed record TemplateOptions
{
    [Description("The text, with {{ expression }} where something of the event goes: Label this: {{ data.title }}")]
    public required Template Text { get; init; }

    [Description("The field the text is put into; the other fields of the payload stay. Empty: the payload becomes the text alone.")]
    public string Into { get; init; } = "text";

    [Description("What happens where a field is missing: error makes it an item error, empty writes nothing.")]
    public MissingRule Missing { get; init; }
}

/// <summary>Writes text from each event.</summary>
[Component("template", Type = ComponentType.Transformer, Summary = "Writes a text from each event, by a template with expressions in it, and puts it into a field.")]
internal sealed class TemplateTransformer(TemplateOptions options) : Transformer<JsonElement, JsonElement>
{
    private readonly Template _text = options.Text.With(options.Missing);

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var text = _text.Render(e);
        return output.SendAsync(e.Derive(options.Into.Length == 0 ? Payloads.OfText(text) : Payloads.With(e.Data, options.Into, text)), ct);
    }
}
