using System.Collections.Immutable;
using Loom.Core.Paths;

namespace Loom.Node.Engines;

/// <summary>
/// The environment of an engine: everything Loom itself got, minus Loom's tokens; then the folders of the data root; then what the kind needs; then what
/// the user wrote for this engine, which wins.
/// </summary>
public static class EngineEnvironment
{
    /// <summary>Tokens that open Loom itself, and the line to its service manager; a child gets one only when its own <c>env</c> names it.</summary>
    private static readonly string[] s_withheld = ["LLORCH_API_TOKEN", "LOOM_BRIDGE_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

    /// <summary>What every engine gets, whatever its kind. Pure.</summary>
    /// <param name="inherited">Environment of this process.</param>
    /// <param name="folders">Where caches go.</param>
    /// <param name="warn">Told of each value of the user that was replaced because it points outside the data root.</param>
    public static ImmutableDictionary<string, string> Common(ImmutableDictionary<string, string> inherited, DataFolders folders, Action<string> warn)
    {
        var environment = inherited.ToBuilder();
        environment.RemoveRange(s_withheld);
        folders.Steer(environment, "engines", warn);
        return environment.ToImmutable();
    }

    /// <summary>Builds it. Pure.</summary>
    /// <param name="inherited">Environment of this process.</param>
    /// <param name="folders">Where caches go.</param>
    /// <param name="launch">What the kind needs.</param>
    /// <param name="request">Whose engine.</param>
    /// <param name="warn">Told of each value of the user that was replaced because it points outside the data root.</param>
    public static ImmutableDictionary<string, string> Build(
        ImmutableDictionary<string, string> inherited, DataFolders folders, EngineLaunch launch, LaunchRequest request, Action<string> warn)
    {
        var environment = Common(inherited, folders, warn).ToBuilder();
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
