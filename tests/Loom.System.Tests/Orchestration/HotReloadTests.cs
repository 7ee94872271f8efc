using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Agents.Reload;
using Loom.Processes;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Orchestration;

public sealed class HotReloadTests : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(180);
    private readonly AgentWorld _world = new();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Theory(Timeout = 300_000)]
    [InlineData("py")]
    [InlineData("sh")]
    public async Task Save_GoodBrokenGood_OldOneServesUntilTheGoodOne(string language)
    {
        await UpAsync(_world, language);
        await SavedAsync(_world, language, Good(language, 2));
        await ServesAsync(_world, 2);

        await SavedAsync(_world, language, Broken(language));
        await Deadline.Until(() => Shown().Note is { } note && note.StartsWith("reload failed: "), "the failed check is told", s_patience);
        Shown().Note!.ShouldContain("exit ", Case.Sensitive, "why, and the last lines");
        Shown().Note!.Split('\n').Length.ShouldBeInRange(2, 21);
        Shown().State.ShouldBe(ProcessState.Ready);
        Served().ShouldBe("2");
        _world.Run.Supervisor.Processes.Single().Spawns.ShouldBe(2);
        _world.Run.State.Processes.Single().Note.ShouldBe(Shown().Note);

        await SavedAsync(_world, language, Good(language, 3));
        await ServesAsync(_world, 3);
        await Deadline.Until(() => Shown().Note is null, "the remark is gone", s_patience);
        _world.Run.Supervisor.Processes.Single().Restarts.ShouldBe(0);
    }

    [Fact(Timeout = 300_000)]
    public async Task Save_PassesTheCheckButDies_BlockedUntilTheNextChange()
    {
        await UpAsync(_world, "sh");
        await SavedAsync(_world, "sh", "exit 1");
        await _world.ReachAsync("agent", ProcessState.Blocked);
        _world.Run.Supervisor.Processes.Single().Reason!.ShouldContain("waits for the next change");
        var spawns = _world.Run.Supervisor.Processes.Single().Spawns;
        await SavedAsync(_world, "sh", Good("sh", 9));
        await ServesAsync(_world, 9);
        _world.Run.Supervisor.Processes.Single().Spawns.ShouldBe(spawns + 1); // no restart loop in between
    }

    [Fact(Timeout = 300_000)]
    public async Task Reload_Cascade_WhatDependsOnItFollows()
    {
        var agent = Agent(_world, "sh");
        await File.WriteAllTextAsync(_world["agents/agent.sh"], Good("sh", 1));
        await _world.UpAsync(
            _world.Project(agent with { Watch = agent.Watch! with { Cascade = true } }, _world.Agent("user", new Dependency("agent", DependencyKind.Agent, DependencyCondition.Ready))),
            watch: true);
        await _world.Host.SettledAsync(null, default);
        await SavedAsync(_world, "sh", Good("sh", 2));
        await ServesAsync(_world, 2);
        await Deadline.Until(() => _world.Order().Count(l => l == "start user") == 2, "the dependent follows", s_patience);
    }

    [Fact(Timeout = 300_000)]
    public async Task AgentThatWritesItsOwnFolder_IsNotReloadedForEver()
    {
        Directory.CreateDirectory(_world["agents"]);
        // Again and again: a single write at the start may fall between two looks at the folder, and then nothing follows it.
        var plan = _world.Shell("agent", "while :; do date +%N > agents/memory.txt; sleep 0.1; done");
        await _world.UpAsync(_world.Project(plan with { Watch = new WatchPlan { Paths = [_world["agents"]], Debounce = TimeSpan.FromMilliseconds(10) } }), watch: true);
        await File.WriteAllTextAsync(_world["agents/first.txt"], "");
        await Deadline.Until(() => Shown().Note is { } note && note.StartsWith("reload suspended: 'agents/memory.txt' changed"), "the watch is suspended", s_patience);
        _world.Run.Supervisor.Processes.Single().Spawns.ShouldBeLessThanOrEqualTo(6);
        Shown().State.ShouldBeOneOf(ProcessState.Running, ProcessState.Ready, ProcessState.Starting);
    }

    [Fact(Timeout = 300_000)]
    public async Task Apply_NewWatch_IsWatchedFromThenOn()
    {
        Directory.CreateDirectory(_world["agents"]);
        await File.WriteAllTextAsync(_world["agents/agent.sh"], Good("sh", 1));
        var agent = Agent(_world, "sh");
        await _world.UpAsync(_world.Project(agent with { Watch = null }), watch: true);
        await _world.Host.SettledAsync(null, default);
        await _world.Host.ApplyAsync(_world.Project(agent), default);
        _world.Run.Supervisor.Processes.Single().Spawns.ShouldBe(1);

        // Armed a moment after the answer: what is saved before is not noticed, so it is saved until it is.
        var tries = 0;
        await Deadline.Until(
            () =>
            {
                if (tries++ % 200 == 0)
                {
                    File.WriteAllText(_world["agents/agent.sh"], Good("sh", 5));
                }

                return Served() == "5";
            },
            "the new watch works",
            s_patience);
    }

    [Theory(Timeout = 300_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Watch_ByKernelOrByLooking_TellsOfEveryWayToChange(bool kernel)
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["src/deep"]);
        Directory.CreateDirectory(folder["src/node_modules"]);
        Directory.CreateDirectory(folder["out"]);
        await File.WriteAllTextAsync(folder["src/a.py"], "1");
        await File.WriteAllTextAsync(folder["single.py"], "1");
        var told = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var notices = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var filter = new WatchFilter(new WatchPlan { Paths = [] });
        Action<string, string> polls = (path, why) => notices.Enqueue($"{path}: {why}");
        await using var watch = new FileWatch(folder["src"], filter, told.Enqueue, polls, TimeProvider.System, NullLogger.Instance, kernel);
        await using var single = new FileWatch(folder["single.py"], filter, told.Enqueue, polls, TimeProvider.System, NullLogger.Instance, kernel);
        watch.ByKernel.ShouldBe(kernel);
        await ToldOf(() => File.WriteAllText(folder["src/a.py"], Guid.NewGuid().ToString()), "src/a.py");
        await ToldOf(() => File.WriteAllText(folder["src/deep/new.py"], Guid.NewGuid().ToString()), "src/deep/new.py");
        await ToldOf(
            () =>
            {
                // The way most editors save: a new file in place of the old one.
                File.WriteAllText(folder["src/a.py.tmp"], Guid.NewGuid() + "longer");
                File.Move(folder["src/a.py.tmp"], folder["src/a.py"], overwrite: true);
            },
            "src/a.py");
        await ToldOf(
            () =>
            {
                Directory.CreateDirectory(folder["out/moved"]);
                File.WriteAllText(folder["out/moved/in.py"], Guid.NewGuid().ToString());
                if (Directory.Exists(folder["src/moved"]))
                {
                    Directory.Delete(folder["src/moved"], recursive: true);
                }

                Directory.Move(folder["out/moved"], folder["src/moved"]);
            },
            "src/moved/in.py");
        await ToldOf(() => File.WriteAllText(folder["single.py"], Guid.NewGuid().ToString()), "single.py");
        File.WriteAllText(folder["src/node_modules/x.js"], "");
        File.WriteAllText(folder["other.py"], "");
        await ToldOf(() => File.Delete(folder["src/a.py"]), "src/a.py");
        told.ShouldNotContain(folder["src/node_modules/x.js"]);
        told.ShouldNotContain(folder["other.py"]);
        told.ShouldNotContain(folder["src/a.py.tmp"]);
        notices.Count.ShouldBe(kernel ? 0 : 2, "one for each path that is looked at");

        // A look needs a first one to compare with, so the change is repeated until it is told of.
        async Task ToldOf(Action change, string file)
        {
            told.Clear();
            var since = 0;
            await Deadline.Until(
                () =>
                {
                    if (since++ % 100 == 0)
                    {
                        change();
                    }

                    return told.Contains(folder[file]);
                },
                $"told of {file}",
                s_patience);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Watch_FolderGoesAwayOrIsReplaced_TheNewOneIsWatched()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["src"]);
        var told = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var watch = new FileWatch(folder["src"], new WatchFilter(new WatchPlan { Paths = [] }), told.Enqueue, (_, _) => { }, TimeProvider.System, NullLogger.Instance);
        Directory.CreateDirectory(folder["src.new"]);
        await File.WriteAllTextAsync(folder["src.new/a.py"], "");
        Directory.Move(folder["src"], folder["src.old"]); // both within one look
        Directory.Move(folder["src.new"], folder["src"]);
        await ToldOfAsync("src/a.py");
        await File.WriteAllTextAsync(folder["src/b.py"], "");
        await ToldOfAsync("src/b.py");

        Directory.Delete(folder["src"], recursive: true);
        Directory.CreateDirectory(folder["src"]);
        await File.WriteAllTextAsync(folder["src/c.py"], "");
        await ToldOfAsync("src/c.py");
        await File.WriteAllTextAsync(folder["src/d.py"], "");
        await ToldOfAsync("src/d.py");
        watch.ByKernel.ShouldBeTrue();

        Task ToldOfAsync(string file) => Deadline.Until(() => told.Contains(folder[file]), $"told of {file}", s_patience);
    }

    [Fact(Timeout = 300_000)]
    public async Task Watch_PathNotThereYet_IsWatchedAsTheFolderItBecomes()
    {
        using var folder = new TempFolder();
        var told = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var watch = new FileWatch(folder["out/src"], new WatchFilter(new WatchPlan { Paths = [] }), told.Enqueue, (_, _) => { }, TimeProvider.System, NullLogger.Instance);
        Directory.CreateDirectory(folder["out/src/deep"]);
        await File.WriteAllTextAsync(folder["out/src/deep/a.py"], "");
        await Deadline.Until(() => told.Contains(folder["out/src/deep/a.py"]), "what it came with is told of", s_patience);
        await File.WriteAllTextAsync(folder["out/src/deep/b.py"], "");
        await Deadline.Until(() => told.Contains(folder["out/src/deep/b.py"]), "what is below it is watched", s_patience);
        watch.ByKernel.ShouldBeTrue();
    }

    /// <summary>The drill of section 15: the old process serves throughout, the good one is picked up.</summary>
    [Fact(Timeout = 3_600_000)]
    public Task Drill_BrokenSaveThenGoodSave_OldServesThroughoutGoodIsPickedUp() => Drill.RunAsync("broken save, then good save", 3, 50, async round =>
    {
        await using var world = new AgentWorld();
        var language = round % 2 == 0 ? "sh" : "py";
        await UpAsync(world, language);
        var pid = world.Run.Supervisor.Processes.Single().Pid;
        await SavedAsync(world, language, Broken(language));
        await Deadline.Until(() => world.Host.Agents.Single().Process!.Note is not null, "the check has failed", s_patience);
        world.Run.Supervisor.Processes.Single().Pid.ShouldBe(pid);
        (await File.ReadAllTextAsync(world["served"])).Trim().ShouldBe("1");
        await SavedAsync(world, language, Good(language, 2));
        await ServesAsync(world, 2);
        world.Run.Supervisor.Processes.Single().ShouldSatisfyAllConditions(p => p.Spawns.ShouldBe(2), p => p.Restarts.ShouldBe(0));
    });

    private static async Task UpAsync(AgentWorld world, string language)
    {
        Directory.CreateDirectory(world["agents"]);
        await File.WriteAllTextAsync(world[$"agents/agent.{language}"], Good(language, 1));
        await world.UpAsync(world.Project(Agent(world, language)), watch: true);
        await world.Host.SettledAsync(null, default);
        (await File.ReadAllTextAsync(world["served"])).Trim().ShouldBe("1");
    }

    private static AgentPlan Agent(AgentWorld world, string language)
    {
        Directory.CreateDirectory(world["agents"]);
        var script = world[$"agents/agent.{language}"];
        ImmutableArray<string> check = language == "py" ? ["python3", "-c", "import ast,sys; ast.parse(open(sys.argv[1]).read())", script] : ["sh", "-n", script];
        var plan = world.Command("agent", [language == "py" ? "python3" : "sh", script]);
        return plan with
        {
            Processes = [plan.Processes[0] with { Ready = new ProbePlan { Check = new ProbeCheck.Log("ready") } }],
            Watch = new WatchPlan { Paths = [world["agents"]], Debounce = TimeSpan.FromMilliseconds(50), Check = check },
            Script = script,
        };
    }

    private static string Good(string language, int version) => language == "py"
        ? $"import time\nopen('served', 'w').write('{version}')\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.05)\n"
        : $"echo {version} > served; echo ready; while :; do sleep 0.05; done\n";

    private static string Broken(string language) => language == "py" ? "def broken(:\n" : "if true; then\n";

    /// <summary>The way most editors save.</summary>
    private static async Task SavedAsync(AgentWorld world, string language, string content)
    {
        var file = world[$"agents/agent.{language}"];
        await File.WriteAllTextAsync(file + "~", content);
        File.Move(file + "~", file, overwrite: true);
    }

    private static Task ServesAsync(AgentWorld world, int version) => Deadline.Until(
        () => File.ReadAllText(world["served"]).Trim() == $"{version}" && world.Host.Agents.Single(a => a.Name == "agent").State == ProcessState.Ready,
        $"version {version} serves",
        s_patience);

    private string Served() => File.ReadAllText(_world["served"]).Trim();

    private (ProcessState State, string? Note) Shown() => _world.Run.Supervisor.Processes.Where(p => p.Name == "agent").Select(p => (p.State, p.Note)).Single();
}
