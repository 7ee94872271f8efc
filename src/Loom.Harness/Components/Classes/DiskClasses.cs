using System.Reflection;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;

namespace Loom.Harness.Components.Classes;

/// <summary>Classes of assemblies on disk, and of projects that were built beforehand.</summary>
/// <param name="directory">The system's folder.</param>
/// <param name="builds">What building each project led to, by its path as the architecture writes it.</param>
internal sealed class DiskClasses(string directory, IReadOnlyDictionary<string, ProjectBuild> builds) : IClassSource
{
    private readonly Dictionary<string, ClassHome> _open = new(StringComparer.Ordinal);

    /// <inheritdoc />
    public ClassHome Open(UsesPlan uses)
    {
        var key = uses.Assembly ?? uses.Project!;
        if (!_open.TryGetValue(key, out var home))
        {
            _open[key] = home = uses.Assembly is { } assembly ? Load(Path.GetFullPath(assembly, directory), assembly) : Built(key);
        }

        return home;
    }

    private ClassHome Built(string project)
    {
        if (!File.Exists(Path.GetFullPath(project, directory)))
        {
            return new ClassHome(null, Codes.HomeMissing, $"there is no project {project}; write the path of a .csproj, from the system's folder");
        }

        if (!builds.TryGetValue(project, out var build))
        {
            return new ClassHome(null, Codes.Build, $"project {project} is not built; run: loom harness check");
        }

        return build.Assembly is { } path ? Load(path, project) : NotBuilt(project, build.Problem ?? "");
    }

    internal static ClassHome NotBuilt(string project, string words) => new(null, Codes.Build, $"project {project} does not build: {words}");

    internal static ClassHome NoAssembly(string path) => new(null, Codes.HomeMissing, $"there is no file {path}; write the path of a .dll, from the system's folder");

    private static ClassHome Load(string path, string shown)
    {
        if (!File.Exists(path))
        {
            return NoAssembly(shown);
        }

        try
        {
            return new ClassHome(new SystemLoadContext(path).LoadMain().GetTypes(), "", "");
        }
        catch (ReflectionTypeLoadException e)
        {
            return new ClassHome(null, Codes.HomeMissing, $"{shown} cannot be loaded: {e.LoaderExceptions.FirstOrDefault()?.Message}");
        }
        catch (Exception e) when (e is BadImageFormatException or IOException or UnauthorizedAccessException)
        {
            return new ClassHome(null, Codes.HomeMissing, $"{shown} cannot be loaded: {e.Message}");
        }
    }
}
