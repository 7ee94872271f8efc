using Loom.Runtime;

namespace Loom.Samples;

/// <summary>Runs a whole project until Ctrl-C, as the program's only work.</summary>
internal static class OrchestrateProject
{
    public static Task<int> RunAsync(string project, string[] scripts) => LoomRuntime.RunOrchestratorAsync(new OrchestratorConfig
    {
        ProjectDir = project,
        RuntimeMode = RuntimeMode.Full,
        AgentScripts = scripts, // none: those found in agents/
        LogsDir = Path.Combine(project, "logs"),
        Progress = new Progress<string>(Console.Error.WriteLine),
    });
}
