using System.Collections;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Commands;
using Loom.Harness.Components;
using Loom.Processes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using EventId = Loom.Components.EventId;

namespace Loom.Testing.Harness;

/// <summary>A folder, a supervisor and plans for components that are commands.</summary>
internal sealed class CommandStage : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Supervisor _supervisor;

    public CommandStage()
    {
        _supervisor = new Supervisor(new SupervisorOptions { RunId = "command-stage-" + Guid.NewGuid().ToString("N"), AdoptStrays = false });
        Stage = new Stage(_folder.Path);
        var sdk = Path.Combine(Repository.Root, "sdk", "harness");
        File.Copy(Path.Combine(sdk, "python", "loom_component.py"), _folder["loom_component.py"]);
        File.Copy(Path.Combine(sdk, "node", "loom-component.mjs"), _folder["loom-component.mjs"]);
        File.Copy(Path.Combine(sdk, "shell", "upper.sh"), _folder["upper.sh"]);
    }

    public Stage Stage { get; }

    public string Folder => _folder.Path;

    public ISupervisor Supervisor => _supervisor;

    public ILoggerFactory Loggers { get; init; } = NullLoggerFactory.Instance;

    public PolicyPlan Policy { get; init; } = new();

    public TimeSpan SetupTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Writes a program and gives the command that runs it.</summary>
    public string[] Program(string name, string text)
    {
        File.WriteAllText(_folder[name], text);
        return Path.GetExtension(name) switch
        {
            ".py" => ["python3", name],
            ".mjs" => ["node", name],
            _ => ["sh", name],
        };
    }

    public static ComponentPlan Plan(string name, string[] command, ComponentType type = ComponentType.Transformer, RestartPlan? restart = null, int replicas = 1) => new()
    {
        Name = name,
        Type = type,
        Uses = new UsesPlan { Command = new CommandPlan(command, null, new Dictionary<string, string>(), [], replicas) },
        Descriptor = new ComponentDescriptor { Name = "command", Type = type, Summary = "", StateVersion = 1, ExecutesChain = true, Ports = _ => [] },
        Ports = type == ComponentType.Source
            ? [Port("out", SemanticClass.DataOut)]
            : [Port("in", SemanticClass.DataIn), Port("out", SemanticClass.DataOut), Port("other", SemanticClass.DataOut)],
        Restart = restart ?? new RestartPlan { Backoff = TimeSpan.FromMilliseconds(50) },
    };

    public CommandSurroundings Around(SystemPlan? system = null) => new()
    {
        Supervisor = _supervisor,
        System = system ?? new SystemPlan { Name = "stage", Version = "1.0.0", Directory = Folder, Components = [], Bindings = [], Policy = Policy },
        StateFolder = _folder[".loom"],
        Time = TimeProvider.System,
        Loggers = Loggers,
        Environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? ""),
        SetupTimeout = SetupTimeout,
    };

    /// <summary>A component that is set up.</summary>
    public Task<CommandComponent> UpAsync(ComponentPlan plan) => Stage.SetUpAsync(new CommandComponent(plan, Around()));

    /// <summary>Sends one payload and gives what it becomes, as <c>port:json</c>.</summary>
    public static async Task<string[]> SendAsync(CommandComponent component, object? data, long number = 0, CancellationToken ct = default)
    {
        var output = new Emitter<JsonElement>(component.Outputs);
        var e = new Event<JsonElement>(EventId.Root("test:0", number), JsonSerializer.SerializeToElement(data), key: "k", time: DateTimeOffset.UnixEpoch);
        await component.HandleAsync(0, e, output, ct).AsTask().WaitAsync(TimeSpan.FromSeconds(120), ct);
        return [.. output.Select((o, i) => $"{output.PortOf(i)}:{o.Data.GetRawText()}")];
    }

    public async ValueTask DisposeAsync()
    {
        await Stage.DisposeAsync();
        await _supervisor.DisposeAsync();
        _folder.Dispose();
    }

    private static PortPlan Port(string name, SemanticClass semantic) => new() { Name = name, Class = semantic, Data = typeof(JsonElement) };
}
