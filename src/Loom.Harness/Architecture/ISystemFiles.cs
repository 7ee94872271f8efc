namespace Loom.Harness.Architecture;

/// <summary>What reading a file led to: content, or why there is none.</summary>
/// <param name="Content">Null after a problem.</param>
/// <param name="Missing">There is no such file.</param>
/// <param name="Problem">What stands in the way, for people; null when it is missing or was read.</param>
internal readonly record struct FileRead(byte[]? Content, bool Missing, string? Problem);

/// <summary>The disk as far as a system's files need it. Paths are absolute.</summary>
internal interface ISystemFiles
{
    /// <summary>Reads a file of at most <paramref name="limit"/> bytes; folders, longer files and files that cannot be read are problems.</summary>
    FileRead Read(string path, long limit);

    /// <summary>Whether a file or folder exists.</summary>
    bool Exists(string path);

    /// <summary>The path without links, as far as it exists; what does not exist yet is appended. Null where a link leads in a circle.</summary>
    string? Resolve(string path);

    /// <summary>Whether the path is a file this user may execute.</summary>
    bool IsExecutable(string path);

    /// <summary>Files below a folder in any order, as paths relative to it with <c>/</c>; folders whose name is in <paramref name="without"/> are not entered.</summary>
    IReadOnlyList<string> FilesBelow(string folder, IReadOnlyCollection<string> without);
}
