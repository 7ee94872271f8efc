using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// The drill "signal storm" of section 17: <c>loom harness run</c> is sent one, two or many signals during setup, while events flow and checkpoints are taken, while it drains and
/// while it cleans up. One orderly end each time, by the exit codes of section 5; nothing lives on; and the next run brings everything to its end, each event once.
/// </summary>
public sealed class SignalDrills
{
    private const int Items = 3000;
    private const int Interrupt = 2;
    private const int Terminate = 15;

    // Says where it stands by files, and is slow where it is told to be.
    private const string Part = """
        import os, sys, time
        import loom_component as loom
        def at(phase):
            open(phase, "w").close()
            while os.path.exists("slow-" + phase):
                time.sleep(0.02)
        at("setup")
        seen = 0
        @loom.item
        def part(event):
            global seen
            seen += 1
            time.sleep(0.0005)
            if seen == 500:
                at("flow")
            if os.path.exists("draining"):
                at("drain")
            return event.data
        @loom.cleanup
        def cleanup():
            at("cleanup")
        loom.run()
        """;

    [Theory]
    [InlineData("setup")]
    [InlineData("flow")]
    [InlineData("drain")]
    [InlineData("cleanup")]
    public Task Storm_InEachPhase_OneOrderlyEnd(string phase) => Drill.RunAsync($"signal storm during {phase}", 3, 30, async round =>
    {
        // One, two or a storm: the second cancels, the third ends the process.
        var signals = (round % 3) switch { 0 => 1, 1 => 2, _ => 12 };
        using var folder = new TempFolder();
        var mark = Guid.NewGuid().ToString("N");
        await WriteAsync(folder);
        await using (var run = Start(folder, mark))
        {
            File.Create(folder["sys/slow-" + phase]).Dispose();
            await Deadline.Until(() => run.Exited.IsCompleted || File.Exists(folder[phase is "setup" ? "sys/setup" : "sys/flow"]), "it runs");
            var sent = 0;
            if (phase is "drain" or "cleanup")
            {
                File.Create(folder["sys/draining"]).Dispose();
                run.Signal(Terminate);
                sent++;
                await Deadline.Until(() => run.Exited.IsCompleted || File.Exists(folder["sys/" + phase]), $"it stands in {phase}: {run.Output}");
            }

            run.Exited.IsCompleted.ShouldBeFalse(run.Output);
            for (; sent < signals; sent++)
            {
                run.Signal(sent % 2 == 0 ? Terminate : Interrupt);
                await Task.Delay(round / 3 % 2 == 0 ? 20 : 0);
            }

            if (signals == 1)
            {
                // Patience is rewarded: what was slow goes on.
                File.Delete(folder["sys/slow-" + phase]);
            }

            var (code, signal) = await run.Exited.WaitAsync(TimeSpan.FromSeconds(120));
            switch (signals)
            {
                case 1:
                    (code, signal).ShouldBe((0, null), run.Output);
                    break;
                case 2:
                    (code, signal).ShouldBe((128 + Terminate, null), run.Output);
                    break;
                default:
                    // Signals of one kind that come together are one to the system: two may have been all.
                    (code == 128 + Terminate || signal is Terminate or Interrupt).ShouldBeTrue($"{code} {signal}: {run.Output}");
                    break;
            }

            run.Output.ShouldNotContain("Unhandled exception");
        }

        await Deadline.Until(() => RunningLoom.ProcessesWith("LOOM_DRILL=" + mark).Count == 0, "nothing of the run lives", RunningLoom.Deadline);
        File.Delete(folder["sys/slow-" + phase]);
        await using var next = Start(folder, mark);
        (await next.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), next.Output);
        File.ReadAllLines(folder["sys/out.jsonl"]).ShouldBe(Enumerable.Range(0, Items).Select(n => $$"""{"n":{{n}}}"""));
    }, atOnce: 3);

    private static Child Start(TempFolder folder, string mark) =>
        Child.Start(folder.Path, [RunningLoom.Program, "harness", "run", "sys", "--unlocked", "--port", "0"], ("LOOM_DRILL", mark));

    private static async Task WriteAsync(TempFolder folder)
    {
        Directory.CreateDirectory(folder["sys"]);
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), folder["sys/loom_component.py"]);
        await File.WriteAllTextAsync(folder["sys/part.py"], Part);
        await File.WriteAllLinesAsync(folder["sys/in.jsonl"], Enumerable.Range(0, Items).Select(n => $$"""{"n":{{n}}}"""));
        await File.WriteAllTextAsync(folder["sys/architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: storm, version: 1.0.0 }
            components:
              - { name: src, type: Source, uses: jsonl, config: { path: in.jsonl }, state: { checkpoint_interval_items: 200 } }
              - name: part
                type: Transformer
                uses: { command: [python3, part.py], files: [part.py, loom_component.py] }
                ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }
              - { name: lines, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: src.out, to: part.in, buffer: 50 }
              - { from: part.out, to: lines.in }
            """);
    }
}
