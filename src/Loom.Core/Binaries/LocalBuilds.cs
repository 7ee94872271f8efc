namespace Loom.Core.Binaries;

/// <summary>
/// Programs that were built where the project lies: <c>target</c> and <c>bin</c> folders of the project and of up to 5 folders above it. Only what nobody
/// but this user or root could have put there is taken, since it is run unasked.
/// </summary>
internal static class LocalBuilds
{
    private const int Parents = 5;
    private static readonly string[] s_release = ["target/release", "bin/Release"];
    private static readonly string[] s_debug = ["target/debug", "bin/Debug"];
    private static readonly string[] s_order = ["target/release", "target/debug", "bin/Release", "bin/Debug"];

    /// <summary>The first build of a program; null when there is none.</summary>
    /// <param name="project">Where the search begins.</param>
    /// <param name="name">File name of the program.</param>
    /// <param name="preferDebug">Debug builds before release builds.</param>
    public static string? Find(string project, string name, bool preferDebug) => Find(project, name, preferDebug ? [.. s_debug, .. s_release] : s_order);

    /// <summary>The first debug build of a program.</summary>
    public static string? FindDebug(string project, string name) => Find(project, name, s_debug);

    private static string? Find(string project, string name, string[] order)
    {
        var folder = project;
        for (var i = 0; i <= Parents && folder is not null; i++, folder = Path.GetDirectoryName(folder))
        {
            foreach (var build in order)
            {
                var candidate = Path.Combine(folder, build, name);
                if (File.Exists(candidate) && IsTrusted(folder, build, candidate))
                {
                    return candidate;
                }
            }
        }

        return null;
    }

    // The build folder, the one around it ("target"), and the file: whoever may write to any of them may choose what is run.
    private static bool IsTrusted(string folder, string build, string file) =>
        FileOwner.IsTrusted(Path.Combine(folder, Path.GetDirectoryName(build)!)) && FileOwner.IsTrusted(Path.Combine(folder, build)) && FileOwner.IsTrusted(file);
}
