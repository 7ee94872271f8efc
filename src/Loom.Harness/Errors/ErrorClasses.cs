using Loom.Components;

namespace Loom.Harness.Errors;

/// <summary>The two halves of an <see cref="ErrorVerdict"/>.</summary>
internal static class ErrorClasses
{
    public static ErrorClass Of(Exception error) => ErrorVerdict.Of(error).Class;

    /// <summary>The code an error record carries.</summary>
    public static string CodeOf(Exception error) => ErrorVerdict.Of(error).Code;
}
