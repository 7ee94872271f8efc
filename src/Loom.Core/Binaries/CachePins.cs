using System.Security.Cryptography;
using System.Text;
using Loom.Core.Storage;

namespace Loom.Core.Binaries;

/// <summary>
/// Which versions in a cache are used by which project, so that tidying up in one project takes nothing from another: a small file for each project in <c>.projects</c>. A project that
/// is gone counts no more.
/// </summary>
/// <param name="cache">Absolute path of the cache.</param>
public sealed class CachePins(string cache)
{
    /// <summary>The programs a project declares.</summary>
    public const string Declared = "programs";

    /// <summary>The <c>loom</c> a project asks for.</summary>
    public const string Runtime = "loom";

    private string Folder => Path.Combine(cache, ".projects");

    /// <summary>Says what a project uses from now on. A cache that cannot be written knows less, and nothing else happens.</summary>
    /// <param name="project">Absolute folder of the project.</param>
    /// <param name="kind">What of it: <see cref="Declared"/> or <see cref="Runtime"/>.</param>
    /// <param name="used">Names and versions; none = nothing of that kind.</param>
    public void Keep(string project, string kind, IEnumerable<(string Name, string Version)> used)
    {
        var file = Path.Combine(Folder, $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(project)).AsSpan(0, 8))}-{kind}");
        var lines = used.Select(u => Line(u.Name, u.Version)).Order(StringComparer.Ordinal).ToList();
        var text = string.Join('\n', lines.Prepend(project)) + "\n";
        try
        {
            if (lines.Count == 0)
            {
                if (File.Exists(file))
                {
                    File.Delete(file);
                }
            }
            else if (!File.Exists(file) || File.ReadAllText(file) != text)
            {
                Directory.CreateDirectory(Folder);
                DurableFile.Write(file, Encoding.UTF8.GetBytes(text));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A cache for reading only is not tidied up either.
        }
    }

    /// <summary>Whether a project that is still there uses a version.</summary>
    public bool IsUsed(string name, string version) =>
        Directory.Exists(Folder) && Directory.EnumerateFiles(Folder).Any(f => File.ReadAllText(f).Split('\n') is [var project, .. var used] && Directory.Exists(project) && used.Contains(Line(name, version), StringComparer.Ordinal));

    private static string Line(string name, string version) => $"{name} {version}";
}
