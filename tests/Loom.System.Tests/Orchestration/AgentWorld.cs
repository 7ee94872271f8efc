using System.Collections.Immutable;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Agents.Reload;
using Loom.Processes;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.SystemTests.Orchestration;

/// <summary>A running project with real processes: run, owner of the agents, control socket. Its plan is read from <see cref="Next"/> when it is applied.</summary>
internal sealed class AgentWorld : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private ProjectRun? _run;
    private AgentHost? _host;
    private HotReload? _reload;

    internal string Folder => _folder.Path;

    internal string this[string file] => _folder[file];

    internal ProjectRun Run => _run!;

    internal AgentHost Host => _host!;

    internal ControlClient Client => new(Run.Directory.Socket);

    /// <summary>What <c>apply</c> and <c>drift</c> read.</summary>
    internal Func<ProjectPlan> Next { get; set; } = static () => throw new PlanRefusedException("loom.toml:1:1: error");

    /// <summary>A shell agent that is ready as soon as the file <c>NAME.ready</c> exists and that writes a line to the file <c>order</c> when it starts and when it is told to stop.</summary>
    internal AgentPlan Agent(string name, params Dependency[] dependsOn) =>
        Shell(name, $"echo start {name} >> order; trap 'echo stop {name} >> order; exit 0' TERM; touch {name}.ready; while :; do sleep 0.05; done", dependsOn) is var plan
            ? plan with { Processes = [plan.Processes[0] with { Ready = FileExists($"{name}.ready") }] }
            : throw new InvalidOperationException();

    internal AgentPlan Shell(string name, string script, params Dependency[] dependsOn) => Command(name, ["sh", "-c", script], dependsOn);

    internal AgentPlan Command(string name, ImmutableArray<string> command, params Dependency[] dependsOn) => new()
    {
        Name = name,
        Processes = [Process(name, command)],
        DependsOn = [.. dependsOn],
    };

    internal ProcessPlan Process(string name, ImmutableArray<string> command) => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = command,
        WorkingDirectory = Folder,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!),
        LogPath = this[$".loom/logs/{name}.log"],
        Grace = TimeSpan.FromSeconds(30), // a busy machine is no reason for a KILL
    };

    internal ProbePlan FileExists(string file) =>
        new() { Check = new ProbeCheck.Exec(["test", "-e", this[file]]), Every = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(30) };

    internal ProjectPlan Project(params AgentPlan[] agents) => new() { ProjectFolder = Folder, Name = "test", Agents = [.. agents] };

    internal async Task UpAsync(ProjectPlan plan, bool watch = false)
    {
        var options = new ProjectRunOptions { ProjectFolder = Folder, Executable = null, LoomVersion = "test", AdoptStrays = false };
        _run = await ProjectRun.StartAsync(options, default).ConfigureAwait(false);
        _host = new AgentHost(plan, Run.Supervisor, NullLogger.Instance);
        Run.ShowAgents(new ProjectAgents(Host, _ => Task.FromResult(new PlanReading(Next(), "next"))));
        _reload = watch ? new HotReload(Host, Run.Supervisor, TimeProvider.System, NullLogger.Instance) : null;
        await Host.StartAsync(null, true, default).ConfigureAwait(false);
    }

    /// <summary>Waits until a replica is in a state.</summary>
    internal Task ReachAsync(string name, ProcessState state) => Deadline.Until(
        () => Host.Agents.Any(a => a.Name == name && a.State == state),
        $"{name} is {state}; there are: {string.Join("; ", Host.Agents.Select(a => $"{a.Name} {a.State} {a.Reason}"))}",
        TimeSpan.FromSeconds(60));

    internal Task<ControlReply?> AskAsync(string op, params string[] names) => AskAsync(new ControlRequest(op) { Names = names.Length == 0 ? null : [.. names] });

    internal async Task<ControlReply?> AskAsync(ControlRequest request) => await Client.AskAsync(request, default).WaitAsync(TimeSpan.FromSeconds(120)).ConfigureAwait(false);

    internal string[] Order() => File.Exists(this["order"]) ? File.ReadAllLines(this["order"]) : [];

    public async ValueTask DisposeAsync()
    {
        if (_reload is not null)
        {
            await _reload.DisposeAsync().ConfigureAwait(false);
        }

        if (_host is not null)
        {
            await _host.StopAllAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
            await _host.DisposeAsync().ConfigureAwait(false);
        }

        if (_run is not null)
        {
            await _run.DisposeAsync().ConfigureAwait(false);
        }

        _folder.Dispose();
    }
}
