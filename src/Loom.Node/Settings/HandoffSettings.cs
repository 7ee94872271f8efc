using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Node.Settings;

/// <summary>Settings of the folder in which prepared engines are handed to the agent, and of GPU discovery. All three folders mean one; the loader sees to it.</summary>
public static class HandoffSettings
{
    public static readonly Setting<string> ControlFolder = Setting.Path("serving.runtime_dir", "Handoff folder watched by the control plane in HOME.", ".runtime/engines",
        variables: ["ORCHD_RUNTIME_DIR"], source: "seeds/001");

    public static readonly Setting<long> ControlInterval = Setting.Int("serving.handoff_watch_interval_ms", "Polling interval of that watcher.", "1000", min: "100", max: "10000",
        unit: "ms", variables: ["ORCHD_HANDOFF_WATCH_INTERVAL_MS"], source: "seeds/001");

    public static readonly Setting<string> Folder = Setting.Path("serving.node.runtime_dir", "Handoff folder watched by the node agent.", ".runtime/engines",
        variables: ["POOL_MANAGERD_RUNTIME_DIR"], source: "seeds/001");

    public static readonly Setting<long> Interval = Setting.Int("serving.node.watch_interval_ms", "Polling interval of that watcher.", "1000", min: "100", max: "10000",
        unit: "ms", variables: ["POOL_MANAGERD_WATCH_INTERVAL_MS"], source: "seeds/001");

    public static readonly Setting<bool> AutoDelete = Setting.Bool("serving.node.auto_delete_handoff", "Delete a handoff file once it has been taken over.", "true",
        variables: ["POOL_MANAGERD_AUTO_DELETE_HANDOFF"], source: "seeds/001");

    public static readonly Setting<long> GpuInterval = Setting.Int("serving.node.gpu_discovery_interval_ms", "Pause between GPU discovery scans.", "10000", min: "1000",
        max: "60000", unit: "ms", variables: ["POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS"], source: "seeds/001");

    public static readonly Setting<string> ProvisionerFolder = Setting.Path("serving.provisioner.handoff_dir",
        "Folder handoff files are written to; must be the folder the node agent watches.", ".runtime/engines", variables: ["ENGINE_PROVISIONER_HANDOFF_DIR"],
        source: "seeds/001");

    public static readonly Setting<GpuSourceChoice> GpuSource = Setting.Enum<GpuSourceChoice>("gpus.source",
        "Where GPU facts come from; auto tries nvml, nvidia-smi, mock and says which.",
        [("auto", GpuSourceChoice.Auto), ("nvml", GpuSourceChoice.Nvml), ("nvidia-smi", GpuSourceChoice.NvidiaSmi), ("mock", GpuSourceChoice.Mock)], "auto", source: "seeds/004");

    public static readonly Setting<long> MockGpuCount = Setting.Int("gpus.mock_count", "Number of GPUs the mock source shows.", "3", min: "0", max: "64", source: "seeds/004");

    internal static ImmutableArray<Setting> All { get; } =
        [ControlFolder, ControlInterval, Folder, Interval, AutoDelete, GpuInterval, ProvisionerFolder, GpuSource, MockGpuCount];
}

/// <summary>Which source of GPU facts is used.</summary>
public enum GpuSourceChoice
{
    Auto,
    Nvml,
    NvidiaSmi,
    Mock,
}
