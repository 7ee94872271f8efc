namespace Loom.Cli.Doctor;

/// <summary>Interpreters of agents. Whether one is needed is told by the scripts that are there, not by a plan: the doctor must work where planning fails.</summary>
internal static class AgentTools
{
    private static readonly Dictionary<string, string> s_byExtension = new(StringComparer.Ordinal)
    {
        [".py"] = "python3",
        [".js"] = "node",
        [".mjs"] = "node",
        [".cjs"] = "node",
        [".ts"] = "node",
        [".cs"] = "dotnet",
        [".csproj"] = "dotnet",
        [".dll"] = "dotnet",
    };

    private static readonly Dictionary<string, string> s_packages = new(StringComparer.Ordinal)
    {
        ["python3"] = "apt-get install python3, or set runtime.python",
        ["node"] = "install Node 20 or newer",
        ["dotnet"] = "install the .NET SDK 10",
        ["uv"] = "install uv, or remove uv.lock: python3 is used then",
    };

    /// <summary>What the project's scripts need: interpreter and a script that needs it.</summary>
    public static Dictionary<string, string> UsedBy(string projectFolder)
    {
        var used = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var script in Scripts(projectFolder))
        {
            if (s_byExtension.TryGetValue(Path.GetExtension(script), out var tool))
            {
                used.TryAdd(tool, Path.GetRelativePath(projectFolder, script));
            }
        }

        if (File.Exists(Path.Combine(projectFolder, "uv.lock")))
        {
            used["uv"] = "uv.lock";
        }

        return used;
    }

    /// <summary>One interpreter: there, missing and needed, or missing and not.</summary>
    internal static Check Judge(string tool, string? version, IReadOnlyDictionary<string, string> used) => (version, used.GetValueOrDefault(tool)) switch
    {
        ({ } found, null) => new Check("agents", tool, CheckStatus.Pass, found),
        ({ } found, { } user) => new Check("agents", tool, CheckStatus.Pass, $"{found}, used by {user}"),
        (null, null) => new Check("agents", tool, CheckStatus.Pass, "not found in PATH; nothing here needs it"),
        (null, { } user) => new Check("agents", tool, tool is "uv" ? CheckStatus.Warning : CheckStatus.Fail, $"not found in PATH; {user} needs it", s_packages[tool]),
    };

    private static IEnumerable<string> Scripts(string projectFolder)
    {
        var agents = Path.Combine(projectFolder, "agents");
        try
        {
            return Directory.Exists(agents)
                ? [.. Directory.EnumerateFiles(agents, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 }).Where(f => Path.GetFileName(f)[0] is not ('_' or '.')).Order(StringComparer.Ordinal)]
                : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // the planner tells that
        }
    }
}
