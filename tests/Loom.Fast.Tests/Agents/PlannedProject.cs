using Loom.Agents.Plans;
using Loom.Agents.Settings;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Core.Settings.Rules;
using Loom.Node.Settings;
using Loom.Processes;
using Loom.Testing.Settings;

namespace Loom.Fast.Tests.Agents;

/// <summary>A project in memory, planned as <c>loom up</c> would: folder /project, programs in /usr/bin.</summary>
internal sealed class PlannedProject
{
    private readonly TestLoad _load = new([.. SharedSettings.All, .. ControlSettings.All, .. NodeSettings.All, .. RuntimeSettings.All, .. ProjectSettings.All]);

    public PlannedProject(string toml = "")
    {
        _load.Toml(toml).Variable("PATH", "/usr/bin").Variable("HOME", "/home/user");
        Programs("python3", "node", "dotnet");
    }

    public MemoryFiles Files => _load.Files;

    public PlanSurroundings Surroundings { get; set; } = new() { RunId = "run-1", FreePort = new PortBook(Count(40000)).Of };

    public PlannedProject Programs(params string[] names)
    {
        foreach (var name in names)
        {
            Files.AddProgram("/usr/bin/" + name);
        }

        return this;
    }

    public PlannedProject File(string path, string text = "")
    {
        Files.Add("/project/" + path, text);
        return this;
    }

    public PlannedProject Variable(string name, string value)
    {
        _load.Variable(name, value);
        return this;
    }

    /// <summary>Adds <c>--set KEY=VALUE</c>.</summary>
    public PlannedProject Set(string key, string value)
    {
        _load.Set(key, value);
        return this;
    }

    public PlannedProject EnvFile(string text)
    {
        _load.EnvFile(text);
        return this;
    }

    /// <summary>What cgroups can do on the machine of the project.</summary>
    public CgroupSupport Cgroups { get; set; } = new("/sys/fs/cgroup/x", ["memory", "pids", "cpu"], null);

    private Action<Draft> Machine => LimitRules.With(() => Cgroups);

    public LoadResult Load() => SettingsLoader.Load(_load.Request() with { CrossRules = [.. CrossRules.All, .. NodeRules.All, .. ProjectRules.All, Machine] });

    /// <summary>Errors and warnings of the load, as <c>CODE KEY: message</c>.</summary>
    public string[] Told() => [.. Load().Faults.Select(f => $"{(f.Severity == FaultSeverity.Warning ? "warning " : "")}{(int)f.Code:000} {f.Key}: {f.Message}")];

    public Planning Planning() => ProjectPlanner.Plan(Load().Snapshot, Files, Surroundings);

    /// <summary>The plan of a project without fault.</summary>
    public ProjectPlan Plan()
    {
        var errors = Load().Faults.Where(f => f.Severity == FaultSeverity.Error).Select(f => $"{f.Key}: {f.Message}").ToList();
        Shouldly.ShouldBeEnumerableTestExtensions.ShouldBeEmpty(errors);
        var (plan, faults) = Planning();
        Shouldly.ShouldBeEnumerableTestExtensions.ShouldBeEmpty(faults);
        return plan;
    }

    /// <summary>The only process of an agent.</summary>
    public ProcessPlan Process(string agent) => Plan().Agents.Single(a => a.Name == agent).Processes.Single();

    private static Func<int> Count(int from) => () => from++;
}
