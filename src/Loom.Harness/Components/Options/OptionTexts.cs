using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Components.Options;

/// <summary>What is wrong with a text, and at which character of it, from 1.</summary>
internal readonly record struct TextFault(string Message, int Column);

/// <summary>Types that are compiled from a text while a config is bound.</summary>
internal static class OptionTexts
{
    public static bool IsCompiled(Type type) => type == typeof(Expression) || type == typeof(Template) || type == typeof(MetricExpression);

    /// <summary>Compiles a text; null with a fault where it cannot be.</summary>
    /// <param name="type"><see cref="Expression"/>, <see cref="Template"/> or <see cref="MetricExpression"/>.</param>
    /// <param name="text">Its text.</param>
    /// <param name="fault">What is wrong.</param>
    public static object? Compile(Type type, string text, out TextFault fault)
    {
        fault = default;
        try
        {
            return type == typeof(Template) ? Template.Compile(text)
                : type == typeof(MetricExpression) ? MetricExpression.Compile(text, SystemMetrics.Names)
                : Expression.Compile(text);
        }
        catch (ExpressionException e)
        {
            fault = new TextFault(e.Message, e.Column);
            return null;
        }
    }
}
