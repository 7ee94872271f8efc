using System.Diagnostics;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Architecture;

/// <summary>The real program over a system's real files: exit codes, what is written, and what a build is made of.</summary>
public sealed class HarnessFilesTests
{
    [Fact]
    public async Task New_ASystem_ChecksAndIsLockedAtOnce()
    {
        using var folder = new TempFolder();
        (await RunAsync(folder.Path, ["harness", "new", "first"])).Exit.ShouldBe(0);
        var check = await RunAsync(folder.Path, ["harness", "check", "first", "--json"]);
        check.Exit.ShouldBe(0, check.Out + check.Err);
        using var report = JsonDocument.Parse(check.Out);
        report.RootElement.GetProperty("lock").GetString().ShouldBe("fits");
        report.RootElement.GetProperty("guarantees")[0].GetProperty("delivery").GetString().ShouldBe("effectively_once");
        (await RunAsync(folder.Path, ["harness", "new", "first"])).Exit.ShouldBe(2);
        (await RunAsync(folder.Path, ["harness", "new", "No-Name"])).Err.ShouldContain("is no name of a system");
    }

    [Fact]
    public async Task Lock_InTwoFoldersAndTimeZones_GivesTheSameBytesAndNoticesOneByte()
    {
        using var here = new TempFolder();
        using var there = new TempFolder();
        await RunAsync(here.Path, ["harness", "new", "same"]);
        await RunAsync(there.Path, ["harness", "new", "same"]);
        (await RunAsync(here["same"], ["harness", "lock"], ("TZ", "Asia/Tokyo"))).Exit.ShouldBe(0);
        (await RunAsync(there["same"], ["harness", "lock"], ("TZ", "America/New_York"), ("LC_ALL", "C"))).Exit.ShouldBe(0);
        (await File.ReadAllBytesAsync(here["same/build.lock"])).ShouldBe(await File.ReadAllBytesAsync(there["same/build.lock"]));

        var architecture = here["same/architecture.yaml"];
        await File.AppendAllTextAsync(architecture, "#");
        var differs = await RunAsync(here["same"], ["harness", "lock", "--check"]);
        differs.Exit.ShouldBe(3);
        differs.Err.ShouldContain("build.lock: error LH603: architecture.yaml has changed");
        (await RunAsync(here["same"], ["harness", "check"])).Exit.ShouldBe(3);
        await File.WriteAllTextAsync(architecture, (await File.ReadAllTextAsync(architecture)).Replace("large.in", "large.inn"));
        var wrong = await RunAsync(here["same"], ["harness", "check"]);
        wrong.Exit.ShouldBe(2);
        wrong.Out.ShouldContain("architecture.yaml:10:29: error LH204: component \"large\" has no input port \"inn\"; did you mean \"in\"? (inputs: in, control)");
        File.Delete(here["same/build.lock"]);
        (await RunAsync(there["same"], ["harness", "lock", "--check"])).Exit.ShouldBe(0);
    }

    [Fact]
    public async Task Check_Fix_RewritesTheFileAndKeepsItsMode()
    {
        using var folder = new TempFolder();
        await RunAsync(folder.Path, ["harness", "new", "old"]);
        var path = folder["old/architecture.yaml"];
        await File.WriteAllTextAsync(path, (await File.ReadAllTextAsync(path)).Replace("{ from: orders.out, to: large.in }", "{ from_component: orders, from_port: out, to_component: large, to_port: in }"));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (await RunAsync(folder["old"], ["harness", "check"])).Out.ShouldContain("warning LH110");
        var fixedUp = await RunAsync(folder["old"], ["harness", "check", "--fix"]);
        fixedUp.Out.ShouldNotContain("LH110");
        (await File.ReadAllTextAsync(path)).ShouldContain("  - { from: orders.out, to: large.in }\n");
        File.GetUnixFileMode(path).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    [Fact]
    public async Task Check_AClassInAProject_IsBuiltFoundAndConverted()
    {
        using var folder = new TempFolder();
        await ProjectAsync(folder, "Upper");
        var check = await RunAsync(folder.Path, ["harness", "check", "--json"]);
        check.Exit.ShouldBe(0, check.Out + check.Err);
        using var report = JsonDocument.Parse(check.Out);
        report.RootElement.GetProperty("conversions").EnumerateArray().Select(c => c.GetProperty("to").GetString()).ShouldBe(["Acme.Note", "json"]);
        report.RootElement.GetProperty("chains")[1].GetProperty("capabilities").EnumerateArray().Select(c => c.GetString()).ShouldContain("Audit");
        (await RunAsync(folder.Path, ["harness", "lock"])).Exit.ShouldBe(0);

        var run = await RunAsync(folder.Path, ["harness", "run"]);
        run.Exit.ShouldBe(0, run.Err);
        run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).ShouldBe(Enumerable.Repeat("{\"Text\":\"NONE\"}", 3));
        run.Err.ShouldContain("audited work");

        // Another check finds the build as it was; a changed source changes the lock.
        var built = File.GetLastWriteTimeUtc(folder[".loom/harness/build/Acme/Acme.dll"]);
        (await RunAsync(folder.Path, ["harness", "lock", "--check"])).Exit.ShouldBe(0);
        File.GetLastWriteTimeUtc(folder[".loom/harness/build/Acme/Acme.dll"]).ShouldBe(built);
        await File.AppendAllTextAsync(folder["src/Upper.cs"], "// more\n");
        (await RunAsync(folder.Path, ["harness", "lock", "--check"])).Err.ShouldContain("error LH605: the code of component work has changed");
        await File.AppendAllTextAsync(folder["src/Upper.cs"], "class {\n");
        var broken = await RunAsync(folder.Path, ["harness", "check"]);
        broken.Exit.ShouldBe(2);
        broken.Out.ShouldContain("architecture.yaml:5:44: error LH304: component \"work\": project src/Acme.csproj does not build: ");
        broken.Out.ShouldContain("error CS1001");
    }

    private static async Task ProjectAsync(TempFolder folder, string name)
    {
        Directory.CreateDirectory(folder["src"]);
        var sdk = Path.Combine(Path.GetDirectoryName(RunningLoom.Program)!, "Loom.Sdk.dll");
        await File.WriteAllTextAsync(folder["src/Acme.csproj"], $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><TargetFramework>net10.0</TargetFramework><Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings></PropertyGroup>
              <ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App" /><Reference Include="{sdk}" /></ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(folder[$"src/{name}.cs"], """
            using System.Text.Json.Serialization;
            using Loom.Components;
            using Microsoft.Extensions.Logging;
            namespace Acme;
            public sealed record Note(string Text);
            [JsonSerializable(typeof(Note))]
            public sealed partial class NoteJson : JsonSerializerContext;
            [Component("acme.upper", Type = ComponentType.Transformer)]
            public sealed class Upper : Transformer<Note, Note>
            {
                protected override ValueTask OnItemAsync(Event<Note> e, Emitter<Note> output, CancellationToken ct) => output.SendAsync(e.Derive(new Note((e.Data.Text ?? "none").ToUpperInvariant())), ct);
            }
            [Capability("Audit", 15)]
            public sealed class Audit(ILogger log) : Capability
            {
                protected override ValueTask BeforeProcessAsync(ItemContext item, CancellationToken ct)
                {
                    log.LogWarning("audited {Component}", item.Component);
                    return default;
                }
            }

            """);
        await File.WriteAllTextAsync(folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: notes, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 3 } }
              - { name: work, type: Transformer, uses: { class: Acme.Upper, project: src/Acme.csproj }, capabilities: [Audit] }
              - { name: show, type: Sink, uses: stdout }
            bindings:
              - { from: make.out, to: work.in }
              - { from: work.out, to: show.in }

            """);
    }

    private static async Task<(int Exit, string Out, string Err)> RunAsync(string folder, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(RunningLoom.Program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;

        // A build of a project on a loaded machine takes its time.
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var error = process.StandardError.ReadToEndAsync(deadline.Token);
        await process.WaitForExitAsync(deadline.Token);
        return (process.ExitCode, await output, await error);
    }
}
