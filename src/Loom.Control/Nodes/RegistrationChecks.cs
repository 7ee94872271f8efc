using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>What a node may not say. Its ids become parts of paths and of metric labels, and requests are sent to its address.</summary>
internal static class RegistrationChecks
{
    private const int LongestId = 128;
    private const int MostSlots = 4096;

    /// <exception cref="ProblemException">400 naming the field.</exception>
    public static void Judge(NodeRegistration registration)
    {
        Id("node_id", registration.NodeId);
        Text("machine_id", registration.MachineId);
        Text("instance_id", registration.InstanceId);
        foreach (var pool in registration.Pools)
        {
            Id("pools", pool);
        }

        if (!Uri.TryCreate(registration.Address, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") || address.Host.Length == 0
            || address.Host is "0.0.0.0" or "[::]" || address.Query.Length > 0 || address.UserInfo.Length > 0)
        {
            throw Bad("address", registration.Address, "an http or https URL under which this control plane reaches the agent, for example http://10.0.0.7:9200");
        }
    }

    /// <exception cref="ProblemException">400 naming the field.</exception>
    public static void Judge(NodeHeartbeat beat)
    {
        foreach (var pool in beat.Pools)
        {
            Id("pools[].pool_id", pool.PoolId);
            Id("pools[].replica_id", pool.ReplicaId);
            if (pool.SlotsTotal is < 0 or > MostSlots)
            {
                throw new ProblemException(Problem.Invalid("pools[].slots_total", $"slots_total of pool '{pool.PoolId}' is {pool.SlotsTotal}; 0 to {MostSlots} is allowed"));
            }
        }
    }

    private static void Id(string field, string value)
    {
        if (value is not { Length: > 0 and <= LongestId } || value is "." or ".." || !value.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
        {
            throw Bad(field, value, $"1 to {LongestId} of the characters A-Z a-z 0-9 . _ -");
        }
    }

    private static void Text(string field, string value)
    {
        if (value is not { Length: > 0 and <= LongestId } || value.Any(char.IsControl))
        {
            throw Bad(field, value, $"1 to {LongestId} characters");
        }
    }

    private static ProblemException Bad(string field, string? value, string expected) =>
        new(Problem.Invalid(field, $"{field} is '{Redaction.Plain(value ?? "null")}'; expected: {expected}"));
}
