using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Deployments;

/// <summary>A deployment may ask for more safety than the architecture, never for less.</summary>
internal static class Tightening
{
    /// <summary>Tells every key of the deployment's policy that loosens the architecture's.</summary>
    /// <param name="agreed">Policy of the architecture.</param>
    /// <param name="merged">Policy with the deployment's laid over it.</param>
    /// <param name="over">The deployment's own, for its places.</param>
    /// <param name="findings">Errors are added here.</param>
    public static void Check(PolicyPlan agreed, PolicyPlan merged, YamlMapping over, FindingList findings)
    {
        if (merged.Delivery < agreed.Delivery)
        {
            Loosened(over, "delivery", $"policy.delivery: {OptionKey.NameOf(agreed.Delivery.ToString())}");
        }

        if (agreed.MaxMemoryMb is { } memory && merged.MaxMemoryMb > memory)
        {
            Loosened(over, "resource_limits.max_memory_mb", $"max_memory_mb: {memory}");
        }

        if (merged.MaxItemBytes > agreed.MaxItemBytes)
        {
            Loosened(over, "resource_limits.max_item_bytes", $"max_item_bytes: {agreed.MaxItemBytes}");
        }

        if (merged.AllowExec && !agreed.AllowExec)
        {
            Loosened(over, "security.allow_exec", "allow_exec: false");
        }

        if (agreed.AllowHosts.Count > 0 && merged.AllowHosts.FirstOrDefault(h => !agreed.AllowHosts.Contains(h)) is not null)
        {
            Loosened(over, "security.allow_hosts", $"allow_hosts: [{string.Join(", ", agreed.AllowHosts)}]");
        }

        if (merged.WritePaths.FirstOrDefault(p => !IsWithin(p, agreed.WritePaths)) is not null)
        {
            Loosened(over, "security.write_paths", agreed.WritePaths.Count == 0 ? "no write_paths, which means the system's own folders" : $"write_paths: [{string.Join(", ", agreed.WritePaths)}]");
        }

        if (agreed.LockDeployment && !merged.LockDeployment)
        {
            Loosened(over, "security.lock_deployment", "lock_deployment: true");
        }

        void Loosened(YamlMapping map, string path, string said)
        {
            YamlNode at = map;
            foreach (var key in path.Split('.'))
            {
                at = (at as YamlMapping)?.Find(key) ?? at;
            }

            findings.Error(Codes.Loosened, at, $"policy.{path} is looser than in architecture.yaml ({said}); a deployment may only tighten it");
        }
    }

    private static bool IsWithin(string path, IReadOnlyList<string> allowed)
    {
        var full = Path.GetFullPath(path, "/system");
        return (allowed.Count == 0 ? ["."] : allowed).Any(a => Path.GetFullPath(a, "/system") is var folder && (full == folder || full.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal)));
    }
}
