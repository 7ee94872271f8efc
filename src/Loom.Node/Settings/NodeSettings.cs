using System.Collections.Immutable;
using System.Globalization;
using Loom.Core.Settings;

namespace Loom.Node.Settings;

/// <summary>Settings of the node itself and of provisioning.</summary>
public static class NodeSettings
{
    public static readonly Setting<string> NodeId = Setting.Grammar("serving.node.id", "Name of this node, unique in the cluster; unset in HOME = host name.",
        "[A-Za-z0-9._-]", ReadNodeId, static id => id, cloud: "required", min: "1", max: "128", variables: ["POOL_MANAGERD_NODE_ID"], source: "seeds/001");

    public static readonly Setting<ImmutableArray<string>> Pools = Setting.List("serving.node.pools",
        "Pools this node offers; unset = every serving.pools entry, else default.");

    public static readonly Setting<PortPair> EnginePorts = Setting.Grammar("serving.node.engine_ports", "Ports for engines.", "first-last, 1024 to 65535",
        PortPair.Read, static ports => ports.ToString(), "28080-28179");

    public static readonly Setting<string> CacheDir = Setting.Path("serving.provisioner.cache_dir", "Cache of downloaded engines.", "~/.cache/llama-orch",
        source: "seeds/001");

    public static readonly Setting<string> ModelsDir = Setting.Path("serving.provisioner.models_dir", "Folder of fetched model files.", "{paths.models_dir}");

    public static readonly Setting<bool> Offline = Setting.Bool("serving.provisioner.offline", "Never touch the network.", "false");

    public static readonly Setting<ImmutableArray<string>> GpuMask = Setting.List("serving.provisioner.gpu_mask",
        "GPUs an engine may use: indices, UUIDs, or none for CPU.",
        "0", source: "seeds/001");

    public static readonly Setting<bool> MockMode = Setting.Bool("reasoning.features.mock_mode", "Mock answers, marked mock in every record. [test: true]",
        "false",
        variables: ["ORCHESTRATOR_MOCK_MODE", "ORCHESTRATOR_FEATURES__MOCK_MODE"], source: "seeds/000");

    /// <summary>Every row of this room.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        NodeId, Pools, EnginePorts, CacheDir, ModelsDir, Offline, GpuMask, MockMode, .. HandoffSettings.All, .. PoolSettings.All, .. Loom.Node.Link.LinkSettings.All,
    ];

    private static string? ReadNodeId(string text) =>
        text.Length is > 0 and <= 128 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') ? text : null;
}

/// <summary>First and last port of a range, both inclusive; the order is judged by a cross rule.</summary>
public sealed record PortPair(int First, int Last)
{
    /// <summary>Reads <c>28080-28179</c>; null when it is none.</summary>
    public static PortPair? Read(string text)
    {
        var ends = text.Split('-', StringSplitOptions.TrimEntries);
        return ends.Length == 2 && Port(ends[0]) is { } first && Port(ends[1]) is { } last ? new PortPair(first, last) : null;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");

    private static int? Port(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
        && port is >= 1024 and <= 65535 ? port : null;
}
