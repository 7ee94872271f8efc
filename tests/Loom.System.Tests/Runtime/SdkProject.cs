namespace Loom.SystemTests.Runtime;

/// <summary>Small projects for the C# API, and what is left of them.</summary>
internal static class SdkProject
{
    /// <summary>An agent that a project finds.</summary>
    public static string Agent(string project, string name) => Script(Path.Combine(project, "agents"), name);

    /// <summary>A script that says hello and waits.</summary>
    public static string Script(string folder, string name)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, name + ".sh");
        File.WriteAllText(path, "echo hello\nwhile :; do sleep 1; done\n");
        return path;
    }

    public static bool IsAlive(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..][0] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Agents of a project that are alive.</summary>
    public static IReadOnlyList<int> Survivors(string project)
    {
        var found = new List<int>();
        foreach (var folder in Directory.GetDirectories("/proc").Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0])))
        {
            try
            {
                var pid = int.Parse(Path.GetFileName(folder));
                if (File.ReadAllText(folder + "/environ").Split('\0').Contains("LOOM_PROJECT_DIR=" + project) && IsAlive(pid))
                {
                    found.Add(pid);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked, or is not ours.
            }
        }

        return found;
    }
}
