using Loom.Agents.Discovery;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Agents;

public sealed class DiscoveryTests
{
    [Fact]
    public void Agents_ByPlace_AreFoundAndSorted()
    {
        var project = new PlannedProject()
            .File("agents/zeta.py").File("agents/alpha.sh").File("agents/web.mjs").File("agents/types.d.ts").File("agents/notes.md").File("agents/data.json")
            .File("agents/_private.py").File("agents/.hidden.py").File("agents/__init__.py").File("agents/test_zeta.py").File("agents/zeta_test.py")
            .File("agents/deep/agent.py").File("agents/deep/main.py").File("agents/single/main.js").File("agents/dotted/Dotted.csproj").File("agents/dotted/Main.cs")
            .File("agents/packed/package.json", """{ "main": "lib/start.cjs" }""").File("agents/packed/lib/start.cjs").File("agents/helpers/util.py")
            .File("agents/_lib/main.py").File("agents/.venv/main.py");
        project.Files.AddProgram("/project/agents/tool", "#!/usr/bin/env ruby\n");
        Commands(project).ShouldBe(
        [
            "alpha: /bin/sh agents/alpha.sh",
            "deep: /usr/bin/python3 agents/deep/agent.py",
            "dotted: /usr/bin/dotnet run --project agents/dotted/Dotted.csproj",
            "packed: /usr/bin/node agents/packed/lib/start.cjs",
            "single: /usr/bin/node agents/single/main.js",
            "tool: agents/tool",
            "web: /usr/bin/node agents/web.mjs",
            "zeta: /usr/bin/python3 agents/zeta.py",
        ]);
    }

    [Fact]
    public void Agents_DeclaredOnes_ComeFirstInTheOrderOfTheFile()
    {
        var project = new PlannedProject("""
            [agents.zeta]
            args = ["-z"]
            [agents.other]
            script = "agents/alpha.py"
            [agents.off]
            enabled = false
            [agents.cmd]
            command = ["uv", "run", "agents/cmd.py"]
            """).File("agents/zeta.py").File("agents/alpha.py").File("agents/beta.py").File("agents/off.py").File("agents/cmd.py");
        Commands(project).ShouldBe(
        [
            "zeta: /usr/bin/python3 agents/zeta.py -z",
            "other: /usr/bin/python3 agents/alpha.py",
            "cmd: uv run agents/cmd.py",
            "beta: /usr/bin/python3 agents/beta.py",
        ]);
    }

    [Fact]
    public void Agents_ReachedByALink_AreTheScriptTheyPointTo()
    {
        var project = new PlannedProject("[agents.writer]\nscript = \"lib/writer.py\"\n").File("lib/writer.py").File("agents/link.py");
        project.Files.Links["/project/agents/link.py"] = "/project/lib/writer.py";
        Commands(project).ShouldBe(["writer: /usr/bin/python3 lib/writer.py"]);
    }

    [Fact]
    public void Agents_DiscoverOff_AreThoseDeclared() =>
        Commands(new PlannedProject("runtime.discover = false\n[agents.a]\ncommand = [\"a\"]\n").File("agents/b.py")).ShouldBe(["a: a"]);

    [Fact]
    public void Agents_WithoutFolder_AreNone() => new PlannedProject().Plan().Agents.ShouldBeEmpty();

    [Fact]
    public void Agents_FolderThatCannotBeRead_IsAnError()
    {
        var project = new PlannedProject();
        project.Files.AddFolder("/project/agents").Closed.Add("/project/agents");
        project.Told().ShouldBe(["002 runtime.discover: the folder cannot be read: Access to the path '/project/agents' is denied."]);
    }

    [Fact]
    public void Agents_FolderOfOneThatCannotBeRead_IsAnError()
    {
        var project = new PlannedProject().File("agents/a/main.py");
        project.Files.Closed.Add("/project/agents/a");
        project.Told().Single().ShouldStartWith("002 agents.a: the folder cannot be read");
    }

    [Fact]
    public void Agents_TwoMainsInAFolder_AreAnError() =>
        new PlannedProject().File("agents/a/agent.py").File("agents/a/agent.js").Told().ShouldBe(["042 agents.a: R11: two scripts are one agent: agent.js and agent.py"]);

    [Fact]
    public void Agents_FileNameOutsideTheGrammar_IsAnErrorWithItsFile() =>
        new PlannedProject().File("agents/My Agent.py").Load().Faults.ShouldHaveSingleItem().ShouldSatisfyAllConditions(
            f => f.Source!.File.ShouldBe("agents/My Agent.py"),
            f => f.Fix.ShouldBe("rename the file, or add [agents.my-agent] with script = \"agents/My Agent.py\""));

    [Fact]
    public void Agents_BrokenPackageJson_IsAnError() =>
        new PlannedProject().File("agents/a/package.json", "{").Told().Single().ShouldStartWith("001 agents.a: package.json is not JSON");

    [Theory]
    [InlineData("main.py", "run.py")]
    [InlineData("run.py", "app.py")]
    [InlineData("app.py", "other.py")]
    public void Main_TheFirstOfThree_IsLastAndMain(string first, string second)
    {
        var project = new PlannedProject().File("agents/a.py").File(first).File(second);
        project.Surroundings = project.Surroundings with { Kind = RosterKind.ProjectWithMain, ScriptArguments = ["x"] };
        var agents = project.Planning().Plan.Agents;
        agents.Select(a => (a.Name, a.IsMain)).ShouldBe([("a", false), (Path.GetFileNameWithoutExtension(first), true)]);
        agents[1].Processes[0].Command.ShouldBe(["/usr/bin/python3", "/project/" + first, "x"]);
        agents[0].Processes[0].Command.ShouldBe(["/usr/bin/python3", "/project/agents/a.py"]);
    }

    [Fact]
    public void Scripts_Given_ReplaceDiscovery()
    {
        var project = new PlannedProject("[agents.kept]\ncommand = [\"k\"]\n").File("agents/a.py").File("x/One.py").File("x/two.sh");
        project.Surroundings = project.Surroundings with { Scripts = ["/project/x/One.py", "/project/x/two.sh"] };
        project.Planning().Plan.Agents.Select(a => a.Name).ShouldBe(["kept", "one", "two"]);
    }

    [Fact]
    public void Python_Interpreter_IsTheNearest()
    {
        var project = new PlannedProject().File("agents/deep/main.py");
        project.Process("deep").Command[0].ShouldBe("/usr/bin/python3");
        project.File("uv.lock").Programs("uv").Process("deep").Command.ShouldBe(["/usr/bin/uv", "run", "--project", "/project", "python", "/project/agents/deep/main.py"]);
        project.Files.AddProgram("/envs/active/bin/python");
        project.Variable("VIRTUAL_ENV", "/envs/active").Process("deep").Command[0].ShouldBe("/envs/active/bin/python");
        project.Files.AddProgram("/project/venv/bin/python");
        project.Process("deep").Command[0].ShouldBe("/project/venv/bin/python");
        project.Files.AddProgram("/project/.venv/bin/python");
        project.Process("deep").Command[0].ShouldBe("/project/.venv/bin/python");
        project.Files.AddProgram("/project/agents/deep/.venv/bin/python");
        project.Process("deep").Command[0].ShouldBe("/project/agents/deep/.venv/bin/python");
        project.Programs("python3.13").Variable("LOOM_RUNTIME__PYTHON", "python3.13").Process("deep").Command[0].ShouldBe("/usr/bin/python3.13");
    }

    [Fact]
    public void TypeScriptAndDotnet_AreRunByWhatIsThere()
    {
        var project = new PlannedProject("[agents.c]\nargs = [\"-v\"]\n").File("agents/a.ts").File("agents/b.dll").File("agents/c.cs");
        Commands(project).ShouldBe(
        [
            "c: /usr/bin/dotnet run --file agents/c.cs -- -v",
            "a: /usr/bin/node --experimental-strip-types --disable-warning=ExperimentalWarning agents/a.ts",
            "b: /usr/bin/dotnet agents/b.dll",
        ]);
        project.Files.AddProgram("/project/node_modules/.bin/tsx");
        Commands(project)[1].ShouldBe("a: node_modules/.bin/tsx agents/a.ts");
    }

    private static string[] Commands(PlannedProject project) =>
        [.. project.Plan().Agents.Select(a => $"{a.Name}: {string.Join(' ', a.Processes[0].Command).Replace("/project/", "", StringComparison.Ordinal)}")];
}
