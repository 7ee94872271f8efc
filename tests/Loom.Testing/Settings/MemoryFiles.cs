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
}
