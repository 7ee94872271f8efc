namespace Loom.Core.Settings.Rules;

/// <summary>Addresses a process listens on: R3, R7.</summary>
internal static class ListenerRules
{
    private const string Api = "serving.bind";
    private const string Agent = "serving.node.bind";
    private const string Metrics = "telemetry.metrics_port";

    public static void OpenWithoutToken(Draft draft)
    {
        if (draft.Profile == SettingsProfile.Cloud || ProfileRules.HasToken(draft))
        {
            return;
        }

        foreach (var (key, address) in Bound(draft))
        {
            if (!address.IsLoopback)
            {
                draft.Report("R3", key, $"{address} can be reached from other machines, and there is no token",
                    "set LLORCH_API_TOKEN, or bind to 127.0.0.1");
            }
        }
    }

    public static void OnePortTwice(Draft draft)
    {
        var ports = new List<Listener>();
        foreach (var (key, address) in Bound(draft))
        {
            ports.Add(new Listener(key, address.Port));
        }

        // Metrics are served at the host of the part; port 0 turns them off.
        if ((draft.RunsControlPlane || draft.RunsNodeAgent) && !draft.IsAtFault(Metrics))
        {
            ports.Add(new Listener(Metrics, draft.Value<long?>(Metrics) ?? 0));
        }

        for (var i = 1; i < ports.Count; i++)
        {
            var other = ports.FindIndex(0, i, p => p.Port == ports[i].Port);
            if (ports[i].Port != 0 && other >= 0)
            {
                // Told at the one that was given: a default cannot be mended.
                var (told, named) = draft.IsGiven(ports[i].Key) || !draft.IsGiven(ports[other].Key) ? (ports[i].Key, ports[other].Key) : (ports[other].Key, ports[i].Key);
                draft.Report("R7", told, FormattableString.Invariant($"port {ports[i].Port} is also that of {named}"), "give one of them another port, or 0 for any free one");
            }
        }
    }

    private sealed record Listener(string Key, long Port);

    private static IEnumerable<(string Key, HostPort Address)> Bound(Draft draft)
    {
        if (draft.RunsControlPlane && !draft.IsAtFault(Api) && draft.Value<HostPort>(Api) is { } api)
        {
            yield return (Api, api);
        }

        if (draft.RunsNodeAgent && !draft.IsAtFault(Agent) && draft.Value<HostPort>(Agent) is { } agent)
        {
            yield return (Agent, agent);
        }
    }
}
