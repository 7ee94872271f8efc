using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>The files of a path or pattern, as the disk has them now.</summary>
internal sealed class FileSet
{
    // A link could lead out of what may be read; a path without a pattern is resolved and judged instead.
    private static readonly EnumerationOptions s_all =
        new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint, MaxRecursionDepth = 64 };

    private readonly string _folder;
    private readonly string _home;
    private readonly Glob? _glob;

    private FileSet(string folder, string home, Glob? glob)
    {
        _folder = folder;
        _home = home;
        _glob = glob;
    }

    /// <summary>One file or, where the text has pattern characters, all that match.</summary>
    /// <exception cref="ItemException">The path may not be read, or the pattern is none.</exception>
    public static FileSet Of(string path, SetupContext ctx)
    {
        if (!Glob.IsPattern(path))
        {
            return new FileSet(ctx.ReadPath(path), ctx.Directory, null);
        }

        var (folder, pattern) = Glob.Split(path);
        return Of(folder, pattern, ctx);
    }

    /// <summary>What matches a pattern below a folder.</summary>
    /// <exception cref="ItemException">The path may not be read, or the pattern is none.</exception>
    public static FileSet Of(string folder, string pattern, SetupContext ctx)
    {
        try
        {
            return new FileSet(ctx.ReadPath(folder), ctx.Directory, Glob.Parse(pattern));
        }
        catch (FormatException e)
        {
            throw new ItemException("bad_pattern", e.Message, ErrorClass.Configuration, e);
        }
    }

    /// <summary>The folder that holds the files, or the one file itself.</summary>
    public string Root => _folder;

    /// <summary>Whether it is one file, named without a pattern.</summary>
    public bool IsOneFile => _glob is null;

    /// <summary>Absolute paths in ordinal order; empty where nothing is there (yet).</summary>
    public IReadOnlyList<string> List()
    {
        if (_glob is null)
        {
            return File.Exists(_folder) ? [_folder] : [];
        }

        if (!Directory.Exists(_folder))
        {
            return [];
        }

        var found = new List<string>();
        try
        {
            foreach (var file in Directory.EnumerateFiles(_folder, "*", s_all))
            {
                if (Matches(file))
                {
                    found.Add(file);
                }
            }
        }
        catch (DirectoryNotFoundException)
        {
            // A folder that goes while it is read; what is left is seen by the next look.
        }

        found.Sort(StringComparer.Ordinal);
        return found;
    }

    /// <summary>Whether an absolute path belongs to the set.</summary>
    public bool Matches(string path) => _glob is null
        ? string.Equals(path, _folder, StringComparison.Ordinal)
        : path.Length > _folder.Length + 1 && _glob.Matches(path[(_folder.Length + 1)..]);

    /// <summary>How people and event ids name a file: relative to the system's folder where it lies below it, else absolute.</summary>
    public string NameOf(string path) =>
        path.StartsWith(_home, StringComparison.Ordinal) && path.Length > _home.Length && path[_home.Length] == '/' ? path[(_home.Length + 1)..] : path;
}
