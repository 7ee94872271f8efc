using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Takes text out of payloads and puts fields into them, in place where they stood.</summary>
internal static class Payloads
{
    [ThreadStatic]
    private static PayloadWriter? t_writer;

    /// <summary>This thread's writer; one payload is written at a time.</summary>
    public static PayloadWriter Writer => t_writer ??= new PayloadWriter();

    /// <summary>The text an expression points at.</summary>
    /// <exception cref="ItemException">It gives something else: <c>expression_error</c>.</exception>
    public static string Text(Expression from, in Event<JsonElement> e)
    {
        var value = from.Run(e);
        return value.Kind == Kind.String ? value.String : throw ExpressionErrors.Kind("a string", value.Kind, from.Text);
    }

    /// <summary>The payload with one field set.</summary>
    /// <param name="payload">Anything; what is no object has no other fields.</param>
    /// <param name="name">The field.</param>
    /// <param name="value">Its value.</param>
    public static JsonElement With(JsonElement payload, string name, string value)
    {
        var json = Writer.Begin();
        var written = false;
        if (payload.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in payload.EnumerateObject())
            {
                if (member.NameEquals(name))
                {
                    json.WriteString(name, value);
                    written = true;
                }
                else
                {
                    member.WriteTo(json);
                }
            }
        }

        if (!written)
        {
            json.WriteString(name, value);
        }

        return Writer.End();
    }

    /// <summary>The payload with one field set.</summary>
    public static JsonElement With(JsonElement payload, string name, JsonElement value)
    {
        var json = Writer.Begin();
        var written = false;
        if (payload.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in payload.EnumerateObject())
            {
                if (member.NameEquals(name))
                {
                    json.WritePropertyName(name);
                    value.WriteTo(json);
                    written = true;
                }
                else
                {
                    member.WriteTo(json);
                }
            }
        }

        if (!written)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }

        return Writer.End();
    }

    /// <summary>A payload that is one text.</summary>
    public static JsonElement OfText(string text) => ValueText.TryToJson(Value.Of(text), out var json) ? json : default;

    /// <summary>A fault for options whose expression cannot give a bool.</summary>
    public static string? NoCondition(Expression? condition) =>
        condition is null || condition.Kind is Kind.Bool or Kind.Any ? null : $"a condition must give a bool, and \"{condition.Text}\" gives {condition.Kind.Name()}";

    /// <summary>A fault for options whose expression cannot give a string.</summary>
    public static string? NoText(Expression? text) =>
        text is null || text.Kind is Kind.String or Kind.Any ? null : $"a string is needed, and \"{text.Text}\" gives {text.Kind.Name()}";
}
