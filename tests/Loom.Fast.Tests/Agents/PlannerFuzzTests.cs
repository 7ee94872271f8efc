using FsCheck;
using FsCheck.Fluent;
using Loom.Agents.Discovery;
using Loom.Agents.Plans;
using Loom.Core.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Agents;

/// <summary>Whatever a project holds: no crash, ids are unique, and the order does not depend on the disk.</summary>
public sealed class PlannerFuzzTests
{
    private static readonly string[] s_names = ["a", "b", "a-1", "a-2", "main", "loom", "Bad Name", "engine-x-r0", "x.y", "ünï", "z_9"];

    private static readonly string[] s_files =
    [
        "agents/a.py", "agents/a.js", "agents/b.sh", "agents/B.py", "agents/a/main.py", "agents/a/agent.ts", "agents/b/x.csproj", "agents/b/package.json", "agents/_x.py",
        "agents/.x.py", "agents/x", "agents/loom.py", "agents/Bad Name.py", "main.py", "run.py", "agents/test_a.py", "agents/z.lua", "agents/x.y.py",
    ];

    private static readonly string[] s_lines =
    [
        "command = [\"x\"]", "command = \"x y\"", "command = []", "shell = true", "script = \"agents/a.py\"", "script = \"${agent.replica}.py\"", "script = \"agents\"", "args = [\"${port.http}\"]",
        "enabled = false", "enabled = \"${NOPE}\"", "replicas = 0", "replicas = 3", "replicas = -1", "ports = { http = 0 }", "ports = { http = 80, \"a b\" = 80 }",
        "depends_on = [\"a\"]", "depends_on = [\"b\", \"a-1\", \"mcp.x\", \"pools.y\"]", "depends_on = { a = \"ended\", loom = \"x\" }", "depends_on = [\"\"]", "restart = \"always\"",
        "restart = { backoff = \"9s..1s\" }", "watch = true", "watch = {}", "inherit_env = false", "inherit_env = [\"PATH\"]", "env = { A = \"${port.zzz}\" }", "env_file = [\"nope\"]",
        "ready = { log = \"(\" }", "ready = { tcp = \"h:${port.http}\", http = \"http://h\" }", "live = { every = 3 }", "config = { a = { b = [1, \"${run.id}\"] } }", "llm = \"far\"",
        "secrets = [\"+A\", \"-B\"]", "log = { redact = false }", "limits = { pids = 3 }", "topics = \"a,b\"", "success_codes = [300]", "unknown = 1", "stop = { command = [\"s\"] }",
    ];

    [Fact]
    public void Plan_OfAnyProject_NeverThrowsAndKeepsItsPromises()
    {
        var table = from name in Gen.Elements(s_names) from lines in Gen.Elements(s_lines).ListOf(2) select (name, lines: lines.DistinctBy(Key).ToArray());
        var project = from tables in table.ListOf(3)
                      from files in Gen.Elements(s_files).ListOf(6)
                      from kind in Gen.Elements(Enum.GetValues<RosterKind>())
                      select (tables: tables.DistinctBy(t => t.name).ToArray(), files: files.Distinct().ToArray(), kind);
        Prop.ForAll(project.ToArbitrary(), p =>
        {
            var toml = string.Concat(p.tables.Select(t => $"[agents.{KeyText.Quoted(t.name)}]\n{string.Join('\n', t.lines)}\n"));
            var one = Names(toml, p.files, p.kind);
            Names(toml, [.. p.files.Reverse()], p.kind).ShouldBe(one);
        }).QuickCheckThrowOnFailure();
    }

    private static string[] Names(string toml, string[] files, RosterKind kind)
    {
        var project = new PlannedProject(toml);
        foreach (var file in files)
        {
            project.File(file, file.EndsWith(".json", StringComparison.Ordinal) ? "{\"main\": \"x.js\"}" : "");
        }

        project.Surroundings = project.Surroundings with { Kind = kind, Scripts = kind == RosterKind.Script ? ["/project/" + (files.Order(StringComparer.Ordinal).FirstOrDefault() ?? "none.py")] : [] };
        var load = project.Load();
        var (plan, faults) = project.Planning();
        var ids = plan.Agents.SelectMany(a => a.Processes).Select(p => p.Name).ToArray();
        if (load.Ok && faults.IsEmpty)
        {
            ids.Distinct().Count().ShouldBe(ids.Length);
            plan.Agents.ShouldAllBe(a => a.Processes.All(p => p.Command.Length > 0 && Path.IsPathFullyQualified(p.WorkingDirectory)));
            plan.Agents.SelectMany(a => a.DependsOn).Where(d => d.On == DependencyKind.Agent).ShouldAllBe(d => plan.Agents.Any(a => a.Name == d.Target));
        }

        return [.. ids, .. faults.Select(f => $"{f.Key}: {f.Message}")];
    }

    [Fact]
    public void Circle_OfTenThousand_IsFound()
    {
        const int Length = 10_000;
        var toml = string.Concat(Enumerable.Range(0, Length).Select(i => $"[agents.a{i}]\ncommand=['x']\ndepends_on=['a{(i + 1) % Length}']\n"));
        new PlannedProject(toml).Load().Faults.ShouldHaveSingleItem().Message.ShouldStartWith("R11: the agents wait for each other in a circle");
    }

    private static string Key(string line) => line[..line.IndexOf(' ', StringComparison.Ordinal)];
}
