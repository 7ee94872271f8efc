namespace Loom.Core.Settings;

/// <summary>Paths as users write them. No disk is asked.</summary>
internal static class PathText
{
    /// <summary>Absolute form: <c>~</c> is the home folder, a relative path starts from the folder of the context.</summary>
    public static string Full(string text, in ParseContext context)
    {
        var path = text is "~" ? context.Home
            : text.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(context.Home, text[2..])
            : text;
        return Path.GetFullPath(path, context.Folder);
    }
}
