namespace Loom.Testing;

/// <summary>Where the tests' repository lies.</summary>
public static class Repository
{
    /// <summary>Folder that holds Loom.slnx.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    /// <summary>The workspace's shared folder (specs, public corpora), or null where the repository stands alone.</summary>
    public static string? Shared { get; } = FindShared(Root);

    private static string Find(string start)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Loom.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"no Loom.slnx above '{start}'");
    }

    private static string? FindShared(string root)
    {
        for (var folder = new DirectoryInfo(root); folder is not null; folder = folder.Parent)
        {
            var shared = Path.Combine(folder.FullName, "shared");
            if (Directory.Exists(Path.Combine(shared, "data", "toml-test")))
            {
                return shared;
            }
        }

        return null;
    }
}
