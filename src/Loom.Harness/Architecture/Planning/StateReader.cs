using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>state</c> of a component or a deployment.</summary>
internal static class StateReader
{
    public static IReadOnlyList<string> Adapters { get; } = ["redis_snapshot", "sqlite_snapshot", "inmem_ephemeral"];

    private static readonly StatePlan s_none = new();

    public static StatePlan Read(YamlMapping? map, string what, FindingList findings)
    {
        if (map is null)
        {
            return s_none;
        }

        var keys = new KeyReader(map, what, findings);
        var adapter = keys.Text("adapter");
        if (adapter is not null && !Adapters.Contains(adapter))
        {
            var near = Nearest.Of(adapter, Adapters);
            findings.Error(Codes.StateAdapter, keys.At("adapter", map),
                $"there is no state adapter \"{Redaction.Plain(adapter)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(adapters: {string.Join(", ", Adapters)})");
        }

        var plan = new StatePlan
        {
            Adapter = adapter,
            CheckpointInterval = keys.Time("checkpoint_interval_s", 1, 86_400),
            CheckpointIntervalItems = keys.Long("checkpoint_interval_items", 1, long.MaxValue),
            Required = keys.Node("required") is null ? null : keys.Bool("required"),
            RedisUrl = keys.Text("redis_url"),
            Keep = keys.Int("keep", 1, 10_000),
            TimeToLive = keys.Time("ttl", 1, 315_360_000),
        };
        keys.Done();
        return plan;
    }
}
