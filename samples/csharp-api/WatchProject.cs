using Loom.Runtime;

namespace Loom.Samples;

/// <summary>Starts a project, shows its processes, does work of its own beside it, and stops it in order.</summary>
internal static class WatchProject
{
    public static async Task<int> RunAsync(string project)
    {
        var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = project });
        await using (orchestrator.ConfigureAwait(false))
        {
            await orchestrator.StartAsync().ConfigureAwait(false);
            foreach (var process in orchestrator.Processes)
            {
                Console.WriteLine($"{process.Name}: {process.State}, pid {process.Pid}");
            }

            await Console.In.ReadLineAsync().ConfigureAwait(false);
            await orchestrator.StopAsync().ConfigureAwait(false);
            return await orchestrator.WaitAsync().ConfigureAwait(false);
        }
    }
}
