using System.Collections.Concurrent;
using System.Globalization;
using Loom.Core.Storage;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>Finds a Node new enough for the embedded engine.</summary>
internal sealed class NodeRuntime(NodeOptions options, OneShot oneShot)
{
    private const int OldestMajor = 20;

    // What a program said of itself, for as long as its file stays what it was: each start of an engine asks.
    private readonly ConcurrentDictionary<(string Path, FileStat File), string> _known = new();

    /// <summary>Path and version of the first Node in PATH that is new enough.</summary>
    /// <exception cref="ProvisionException">There is none; says what was found instead.</exception>
    public async Task<(string Path, string Version)> FindAsync(PoolPlan pool, CancellationToken cancellationToken)
    {
        var found = new List<string>();
        foreach (var node in ToolPath.FindAll("node", options.Environment).Concat(ToolPath.FindAll("nodejs",
            options.Environment)).Distinct(StringComparer.Ordinal))
        {
            var file = FileStat.Of(node, follow: true) ?? default;
            if (_known.TryGetValue((node, file), out var said))
            {
                return (node, said);
            }

            var answer = await oneShot.RunAsync("engine-provisioner-node", [node, "--version"], options.WorkingDirectory, options.Environment,
                TimeSpan.FromSeconds(20), cancellationToken).ConfigureAwait(false);
            var version = answer.Code == 0 ? answer.Tail.LastOrDefault()?.Trim() : null;
            if (Major(version) >= OldestMajor)
            {
                _known[(node, file)] = version!;
                return (node, version!);
            }

            found.Add(version ?? $"{node}, which gives no version");
        }

        throw Missing(pool, found);
    }

    /// <summary>The leading number of <c>v20.1.2</c>; 0 when it is none.</summary>
    internal static int Major(string? version) =>
        version is ['v', .. var rest] && int.TryParse(rest.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : 0;

    internal static ProvisionException Missing(PoolPlan pool, IReadOnlyCollection<string> found) => new(
        ProvisionExit.NotFound,
        $"engine \"{pool.Engine.Name}\" needs Node 20 or newer (found: {(found.Count == 0 ? "none" : string.Join(", ", found))}); install it, or set "
            + $"serving.pools.{pool.Id}.engine to a llama-server or an [llm.*] provider");
}
