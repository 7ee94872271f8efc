using System.Reflection;

namespace Loom.Harness.Components.Options;

/// <summary>
/// Types that are compiled from a text of the config while it is bound: anything with a static <c>Compile(string)</c> that returns it. A failure
/// that has a <c>Column</c> is told at its own column.
/// </summary>
internal static class OptionTexts
{
    public static bool IsCompiled(Type type) => Method(type) is not null;

    /// <summary>Compiles a text.</summary>
    /// <param name="type">What to make.</param>
    /// <param name="text">Its text.</param>
    /// <param name="fault">What is wrong and at which character of the text, from 1; 0 when unknown.</param>
    public static object? Compile(Type type, string text, out (string Message, int Column) fault)
    {
        fault = default;
        var method = Method(type)!;
        var arguments = method.GetParameters().Select(p => p.Position == 0 ? text : p.DefaultValue).ToArray();
        try
        {
            return method.Invoke(null, arguments);
        }
        catch (TargetInvocationException e) when (e.InnerException is { } cause)
        {
            fault = (cause.Message, cause.GetType().GetProperty("Column")?.GetValue(cause) as int? ?? 0);
            return null;
        }
    }

    private static MethodInfo? Method(Type type) => type.GetMethods(BindingFlags.Static | BindingFlags.Public)
        .FirstOrDefault(m => m.Name == "Compile" && m.ReturnType == type
            && m.GetParameters() is [{ } first, .. var rest] && first.ParameterType == typeof(string) && rest.All(p => p.HasDefaultValue));
}
