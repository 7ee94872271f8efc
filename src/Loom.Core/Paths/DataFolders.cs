using Loom.Core.Settings;

namespace Loom.Core.Paths;

/// <summary>Folders that children are pointed to, so that no cache grows outside the data root.</summary>
/// <param name="DataRoot"><c>paths.data_root</c>, absolute.</param>
/// <param name="CacheDir"><c>paths.cache_dir</c>, absolute.</param>
/// <param name="TmpDir"><c>paths.tmp_dir</c>, absolute; it must exist before a child starts, which is for its starter to see to.</param>
public sealed record DataFolders(string DataRoot, string CacheDir, string TmpDir)
{
    /// <summary>The folders of a configuration.</summary>
    public static DataFolders From(SettingsSnapshot settings) =>
        new(settings.Get(SharedSettings.DataRoot), settings.Get(SharedSettings.CacheDir), settings.Get(SharedSettings.TmpDir));

    /// <summary>Sets the variables by which programs find their caches and temporary files. A value that lies below the data root stays.</summary>
    /// <param name="environment">Environment of the child, changed in place.</param>
    /// <param name="whose">Whose environment it is, for the warning: <c>engines</c>, <c>agents</c>.</param>
    /// <param name="warn">Told of each value that was replaced.</param>
    public void Steer(IDictionary<string, string> environment, string whose, Action<string> warn)
    {
        foreach (var (name, value) in Variables())
        {
            if (environment.TryGetValue(name, out var own) && IsBelow(own, DataRoot))
            {
                continue;
            }

            if (own is not null)
            {
                warn($"{name}={own} lies outside the data root {DataRoot}; {whose} get {value}");
            }

            environment[name] = value;
        }
    }

    /// <summary>Creates what the variables point to: programs look for these folders, few of them make them.</summary>
    /// <exception cref="IOException">One cannot be created.</exception>
    public void Create()
    {
        foreach (var (_, folder) in Variables())
        {
            Directory.CreateDirectory(folder);
        }
    }

    private (string Name, string Value)[] Variables()
    {
        var huggingface = Path.Combine(CacheDir, "huggingface");
        var home = Path.Combine(DataRoot, "llm", "claude");
        return
        [
            ("HF_HOME", huggingface),
            ("TRANSFORMERS_CACHE", huggingface),
            ("HF_DATASETS_CACHE", Path.Combine(huggingface, "datasets")),
            ("PIP_CACHE_DIR", Path.Combine(CacheDir, "pip")),
            ("TMPDIR", TmpDir),
            ("XDG_CACHE_HOME", Path.Combine(home, "cache")),
            ("XDG_DATA_HOME", Path.Combine(home, "share")),
            ("XDG_STATE_HOME", Path.Combine(home, "state")),
        ];
    }

    private static bool IsBelow(string path, string root)
    {
        if (path.Length == 0)
        {
            return false;
        }

        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return full == root || full.StartsWith(Path.TrimEndingDirectorySeparator(root) + "/", StringComparison.Ordinal);
    }
}
