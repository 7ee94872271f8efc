using System.Text;
using Loom.Core.Settings;

namespace Loom.Testing.Settings;

/// <summary>Files of a load, in memory. Folders exist when a file lies below them or when they were added.</summary>
public sealed class MemoryFiles : ISettingsFiles
{
    private readonly Dictionary<string, SettingsFile> _files = new(StringComparer.Ordinal);
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal) { "/", "/project" };

    /// <summary>Folders other users can write to.</summary>
    public HashSet<string> Open { get; } = new(StringComparer.Ordinal);

    /// <summary>Files that may be executed.</summary>
    public HashSet<string> Executable { get; } = new(StringComparer.Ordinal);

    /// <summary>Folders that exist and cannot be read.</summary>
    public HashSet<string> Closed { get; } = new(StringComparer.Ordinal);

    /// <summary>Links, path to target.</summary>
    public Dictionary<string, string> Links { get; } = new(StringComparer.Ordinal);

    public MemoryFiles Add(string path, string text, bool othersCanRead = false)
    {
        _files[path] = new SettingsFile(Encoding.UTF8.GetBytes(text), othersCanRead);
        for (var folder = Path.GetDirectoryName(path); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            _folders.Add(folder);
        }

        return this;
    }

    public MemoryFiles AddFolder(string path)
    {
        _folders.Add(path);
        return this;
    }

    public MemoryFiles AddUnreadable(string path, string error)
    {
        _files[path] = new SettingsFile(default, Error: error);
        return this;
    }

    public SettingsFile? Read(string path) => _files.GetValueOrDefault(path);

    public bool Exists(string path) => _files.ContainsKey(path) || _folders.Contains(path);

    public string RealPath(string path) => Links.GetValueOrDefault(path, path);

    public bool OthersCanWrite(string path) => Open.Contains(path);

    /// <summary>Adds a program: a file that may be executed.</summary>
    public MemoryFiles AddProgram(string path, string text = "#!/bin/sh\n")
    {
        Executable.Add(path);
        return Add(path, text);
    }

    public IReadOnlyList<FolderItem>? List(string folder)
    {
        if (Closed.Contains(folder))
        {
            throw new IOException($"Access to the path '{folder}' is denied.");
        }

        return !_folders.Contains(folder) ? null
            : [.. _files.Keys.Select(f => (Path: f, IsFolder: false)).Concat(_folders.Select(f => (Path: f, IsFolder: true)))
                .Where(i => i.Path != "/" && Path.GetDirectoryName(i.Path) == folder).Select(i => new FolderItem(Path.GetFileName(i.Path), i.IsFolder))];
    }

    public bool IsExecutable(string path) => Executable.Contains(path);
}
