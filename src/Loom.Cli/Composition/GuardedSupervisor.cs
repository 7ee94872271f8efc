using Loom.Cli.Verbs;
using Loom.Processes;
using Loom.Processes.Guarding;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>A supervisor for one verb, whose children end with this process however it ends.</summary>
internal static class GuardedSupervisor
{
    /// <param name="context">Surroundings of the verb.</param>
    /// <param name="runId">Name of the run.</param>
    /// <param name="folder">Where the guardian keeps its files.</param>
    /// <param name="log">Where the supervisor tells.</param>
    public static Supervisor Create(VerbContext context, string runId, string folder, ILogger log) => new(new SupervisorOptions
    {
        RunId = runId,
        GuardianCommand = Guardian.CommandLine(context.Executable, folder),
        AdoptStrays = true,
        Time = context.Time,
        Random = new Random(),
        Logger = log,
    });
}
