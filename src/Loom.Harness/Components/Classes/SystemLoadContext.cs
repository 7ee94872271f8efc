using System.Reflection;
using System.Runtime.Loader;

namespace Loom.Harness.Components.Classes;

/// <summary>
/// Loads a user's assembly and what lies beside it. What the program itself has (the API of components, the framework) is the program's, so that types are the same on both
/// sides. Files are read whole and not held, so that a build may replace them.
/// </summary>
internal sealed class SystemLoadContext(string path) : AssemblyLoadContext(Path.GetFileNameWithoutExtension(path), isCollectible: true)
{
    private readonly AssemblyDependencyResolver _resolver = new(path);

    /// <summary>The assembly at the path.</summary>
    public Assembly LoadMain() => Read(path);

    /// <inheritdoc />
    protected override Assembly? Load(AssemblyName assemblyName)
    {
        try
        {
            return Default.LoadFromAssemblyName(assemblyName);
        }
        catch (Exception e) when (e is FileNotFoundException or FileLoadException)
        {
            return _resolver.ResolveAssemblyToPath(assemblyName) is { } found ? Read(found) : null;
        }
    }

    private Assembly Read(string file)
    {
        using var code = new MemoryStream(File.ReadAllBytes(file));
        var symbols = Path.ChangeExtension(file, ".pdb");
        if (!File.Exists(symbols))
        {
            return LoadFromStream(code);
        }

        using var debug = new MemoryStream(File.ReadAllBytes(symbols));
        return LoadFromStream(code, debug);
    }
}
