using System.Collections.Immutable;

namespace Loom.Node.Engines;

/// <summary>Folders that engines are pointed to, so that no cache grows outside the data root.</summary>
/// <param name="DataRoot"><c>paths.data_root</c>, absolute.</param>
/// <param name="CacheDir"><c>paths.cache_dir</c>, absolute.</param>
/// <param name="TmpDir"><c>paths.tmp_dir</c>, absolute.</param>
public sealed record DataFolders(string DataRoot, string CacheDir, string TmpDir);

/// <summary>
/// The environment of an engine: everything Loom itself got, minus Loom's tokens; then the folders of the data root; then what the kind needs; then what
/// the user wrote for this engine, which wins.
/// </summary>
public static class EngineEnvironment
{
    /// <summary>Tokens that open Loom itself; a child gets one only when its own <c>env</c> names it.</summary>
    private static readonly string[] s_tokens = ["LLORCH_API_TOKEN", "LOOM_BRIDGE_TOKEN"];

    /// <summary>Builds it. Pure.</summary>
    /// <param name="inherited">Environment of this process.</param>
    /// <param name="folders">Where caches go.</param>
    /// <param name="launch">What the kind needs.</param>
    /// <param name="request">Whose engine.</param>
    /// <param name="warn">Told of each value of the user that was replaced because it points outside the data root.</param>
    public static ImmutableDictionary<string, string> Build(
        ImmutableDictionary<string, string> inherited, DataFolders folders, EngineLaunch launch, LaunchRequest request, Action<string> warn)
    {
        var environment = inherited.ToBuilder();
        environment.RemoveRange(s_tokens);
        foreach (var (name, value) in FolderVariables(folders))
        {
            if (environment.TryGetValue(name, out var own) && !IsBelow(own, folders.DataRoot))
            {
                warn($"{name}={own} lies outside the data root {folders.DataRoot}; engines get {value}");
            }

            if (own is null || !IsBelow(own, folders.DataRoot))
            {
                environment[name] = value;
            }
        }

        if (request.Machine.HasGpu)
        {
            // Hides all GPUs when the mask says none; the order makes an index mean the same as in nvidia-smi.
            environment["CUDA_VISIBLE_DEVICES"] = request.GpuMask;
            environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
        }

        environment.SetItems(launch.Environment);
        environment.SetItems(request.Pool.Engine.Env);
        return environment.ToImmutable();
    }

    private static (string Name, string Value)[] FolderVariables(DataFolders folders)
    {
        var huggingface = Path.Combine(folders.CacheDir, "huggingface");
        var home = Path.Combine(folders.DataRoot, "llm", "claude");
        return
        [
            ("HF_HOME", huggingface),
            ("TRANSFORMERS_CACHE", huggingface),
            ("HF_DATASETS_CACHE", Path.Combine(huggingface, "datasets")),
            ("PIP_CACHE_DIR", Path.Combine(folders.CacheDir, "pip")),
            ("TMPDIR", folders.TmpDir),
            ("XDG_CACHE_HOME", Path.Combine(home, "cache")),
            ("XDG_DATA_HOME", Path.Combine(home, "share")),
            ("XDG_STATE_HOME", Path.Combine(home, "state")),
        ];
    }

    private static bool IsBelow(string path, string root)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return full == root || full.StartsWith(Path.TrimEndingDirectorySeparator(root) + "/", StringComparison.Ordinal);
    }
}

internal static class EnvironmentBuilding
{
    public static void SetItems(this ImmutableDictionary<string, string>.Builder builder, IEnumerable<KeyValuePair<string, string>> items)
    {
        foreach (var (name, value) in items)
        {
            builder[name] = value;
        }
    }
}
