namespace Loom.Node.Provisioning;

/// <summary>Whether something that is to be deleted lies where Loom itself put it. Links are followed: a folder that leads elsewhere is not ours.</summary>
public static class OurFolders
{
    private const int MostLinks = 40; // as the kernel

    /// <summary>Whether a path lies below a folder, both taken to where they really are. The last part of the path may be a link: that is what is deleted.</summary>
    public static bool Holds(string folder, string path)
    {
        var full = Path.GetFullPath(path);
        var parent = Path.GetDirectoryName(full);
        if (parent is null || Real(folder) is not { } ours || Real(parent) is not { } place)
        {
            return false;
        }

        var name = Path.GetFileName(full);
        return name.Length > 0 && (place + "/").StartsWith(ours.TrimEnd('/') + "/", StringComparison.Ordinal);
    }

    /// <summary>The path with every link in it followed; null when links lead in a circle.</summary>
    private static string? Real(string path)
    {
        var real = "/";
        var links = 0;
        var rest = new Stack<string>(Path.GetFullPath(path).Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        while (rest.TryPop(out var part))
        {
            if (part == "..")
            {
                real = Path.GetDirectoryName(real) ?? "/";
                continue;
            }

            var next = Path.Combine(real, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }

            if (++links > MostLinks)
            {
                return null;
            }

            real = target.StartsWith('/') ? "/" : real;
            foreach (var piece in target.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != ".").Reverse())
            {
                rest.Push(piece);
            }
        }

        return real;
    }
}
