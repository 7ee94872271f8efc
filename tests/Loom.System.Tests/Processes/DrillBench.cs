using System.Collections.Immutable;
using Loom.Processes;
using Loom.Testing;

namespace Loom.SystemTests.Processes;

/// <summary>A supervisor in this program, with a folder for its logs: the bench of the drills that need no loom to kill.</summary>
internal sealed class DrillBench : IAsyncDisposable
{
    internal DrillBench(bool adoptStrays, TimeProvider? time = null) =>
        Supervisor = new Supervisor(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = adoptStrays, Time = time ?? TimeProvider.System });

    internal TempFolder Folder { get; } = new();

    internal Supervisor Supervisor { get; }

    public async ValueTask DisposeAsync()
    {
        await Supervisor.DisposeAsync();
        Folder.Dispose();
    }

    internal ProcessSnapshot One(string name) => Supervisor.Processes.Single(p => p.Name == name);

    internal ProcessPlan Shell(string name, string script, string argument = "sh") => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = ["sh", "-c", script, argument],
        WorkingDirectory = Folder.Path,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!),
        LogPath = Folder[$"{name}.log"],
    };
}
