namespace Loom.Core.Settings;

/// <summary>Names with one of our prefixes that nothing reads: most likely misspelt.</summary>
internal static class UnknownVariables
{
    private static readonly HashSet<string> s_ofChildren = new(StringComparer.Ordinal)
    {
        "LOOM_BRIDGE_TOKEN", "LOOM_AGENT_ID", "LOOM_AGENT_CONFIG", "LOOM_REPLICA", "LOOM_PROJECT_DIR", "LOOM_RUN_ID", "LOOM_PROC_ID", "LOOM_MCP_SERVERS", "LOOM_JOB_ID", "LOOM_EXPERIMENT_ID", "ARC_EXPERIMENT_ID",
        "LOOM_CYCLE_ID", "LOOM_OUTPUT_DIR",

        // Read before there are settings: which loom it is that reads them.
        "LOOM_EXECUTABLE", "LOOM_HANDED_OVER",
    };

    public static void Tell(LoadRequest request, IReadOnlyDictionary<string, VariableValue> variables, HashSet<string> referenced, FaultList faults)
    {
        foreach (var (name, variable) in variables)
        {
            if (!IsOurs(name) || request.Registry.OfVariable(name) is not null || referenced.Contains(name) || IsOfChildren(name) || IsServiceLink(name, variable.Text)
                || request.IsKnownVariable(name))
            {
                continue;
            }

            var nearest = Nearest.Of(name, request.Registry.All.SelectMany(s => s.Variables));
            faults.Add(new Fault
            {
                Severity = FaultSeverity.Warning,
                Code = FaultCode.UnknownVariable,
                Variable = name,
                Source = variable.Source,
                FileOrder = variable.FileOrder,
                Message = nearest is null ? "no setting has this variable" : "",
                Fix = nearest is null ? null : $"did you mean {nearest}?",
            });
        }
    }

    /// <summary>Whether a name bears one of our prefixes.</summary>
    public static bool IsOurs(string name)
    {
        foreach (var prefix in SettingNames.Prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsOfChildren(string name) =>
        s_ofChildren.Contains(name) || name.StartsWith("LOOM_LLM_", StringComparison.Ordinal) || name.StartsWith("LOOM_PORT_", StringComparison.Ordinal);

    // Kubernetes puts the address of every service into every container.
    private static bool IsServiceLink(string name, string value) =>
        name.EndsWith("_SERVICE_HOST", StringComparison.Ordinal)
        || name.Contains("_SERVICE_PORT", StringComparison.Ordinal)
        || (name.EndsWith("_PORT", StringComparison.Ordinal) && (value.StartsWith("tcp://", StringComparison.Ordinal) || value.StartsWith("udp://", StringComparison.Ordinal)))
        || IsNumberedPort(name);

    private static bool IsNumberedPort(string name)
    {
        var port = name.IndexOf("_PORT_", StringComparison.Ordinal);
        if (port < 0)
        {
            return false;
        }

        var digits = port + 6;
        var end = digits;
        while (end < name.Length && char.IsAsciiDigit(name[end]))
        {
            end++;
        }

        return end > digits && (name.AsSpan(end).StartsWith("_TCP") || name.AsSpan(end).StartsWith("_UDP"));
    }
}
