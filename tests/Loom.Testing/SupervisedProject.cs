using System.Text.Json;
using Loom.Agents.Project;

namespace Loom.Testing;

/// <summary>A real <c>loom</c> that supervises nasty children in a folder of its own: the host of the drills.</summary>
public sealed class SupervisedProject(int graceMs, bool guarded = true, params IEnumerable<(string Name, string Script)> children) : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly (string Name, string Script)[] _children = [.. children];

    public string Mark { get; } = NastyChildren.NewMark();

    /// <summary>Children get cgroups where the system lets us make some.</summary>
    public bool Cgroup { get; init; }

    /// <summary>Children get loom's own streams and terminal.</summary>
    public bool Terminal { get; init; }

    public string Folder => _folder.Path;

    public RunDirectory Directory => RunDirectory.Of(Folder);

    public Child Loom { get; private set; } = null!;

    public RunState State => RunState.Read(Directory.State) ?? throw new InvalidOperationException($"no state file; loom said: {Loom.Output}");

    /// <summary>The command that supervises this project.</summary>
    public string[] Command
    {
        get
        {
            var plan = _folder["plan.json"];
            File.WriteAllText(plan, JsonSerializer.Serialize(new
            {
                project = Folder,
                guarded,
                cgroup = Cgroup,
                children = _children.Select(c => new { name = c.Name, command = new[] { "sh", "-c", c.Script, Mark }, grace_ms = graceMs, terminal = Terminal }),
            }));
            return [Path.Combine(AppContext.BaseDirectory, "loom"), "internal", "supervise", plan];
        }
    }

    /// <summary>Starts the supervisor and waits until all children are started.</summary>
    public async Task UpAsync()
    {
        Launch();
        await Deadline.Until(() => Loom.Output.Contains("up\n", StringComparison.Ordinal) || Loom.Exited.IsCompleted, "loom is up", TimeSpan.FromSeconds(60)).ConfigureAwait(false);
        if (Loom.Exited.IsCompleted)
        {
            throw new InvalidOperationException($"loom ended at once: {Loom.Output}");
        }
    }

    /// <summary>Starts the supervisor and waits for nothing.</summary>
    public void Launch() => Loom = Child.Start(Folder, Command);

    /// <summary>Starts the supervisor on a terminal and waits for nothing.</summary>
    public void Launch(PseudoTerminal terminal) => Loom = Child.Start(Folder, terminal.Command(Command));

    /// <summary>Waits until nothing with the mark lives.</summary>
    public Task GoneAsync(TimeSpan within) =>
        Deadline.Until(() => NastyChildren.Survivors(Mark).IsEmpty, $"no survivor; {Folder}", within);

    public async ValueTask DisposeAsync()
    {
        if (Loom is not null)
        {
            await Loom.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var survivor in NastyChildren.Survivors(Mark))
        {
            Signals.Send(int.Parse(survivor.Split(':')[0]), 9); // a failed drill must not leave what it was about
        }

        _folder.Dispose();
    }
}
