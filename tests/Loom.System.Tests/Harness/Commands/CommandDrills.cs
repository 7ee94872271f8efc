using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Commands;
using Loom.SystemTests.Processes;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Commands;

/// <summary>The drill "child" of section 17: whatever a program does, its component restarts or fails by rule, memory stays flat, and others are unharmed.</summary>
[Collection(Alone.Name)]
public sealed class CommandDrills : IAsyncDisposable
{
    // Misbehaves once for each kind of trouble it is asked for; a marker file remembers that it has.
    private const string Nasty = """
        import json, os, sys
        out = os.fdopen(1, "wb", 0)
        def say(m): out.write(json.dumps(m).encode() + b"\n")
        json.loads(sys.stdin.readline())
        say({"type": "ready", "v": 1, "max_in_flight": 4})
        for line in sys.stdin:
            m = json.loads(line)
            if m["type"] == "cleanup":
                say({"type": "bye"})
                break
            if m["type"] == "ping":
                say({"type": "pong"})
            if m["type"] != "item":
                continue
            what = m["data"]
            if isinstance(what, str) and m["attempt"] == 1:
                if what == "exit":
                    os._exit(3)
                if what == "signal":
                    os.kill(os.getpid(), 9)
                if what == "half":
                    out.write(b'{"type":"emit","n":%d,"po' % m["n"])
                    os._exit(0)
                if what == "unknown":
                    say({"type": "emit", "n": 999999, "port": "out", "data": 1})
                if what == "malformed":
                    say({"type": "done", "n": "one"})
                if what == "port":
                    say({"type": "emit", "n": m["n"], "port": "nowhere", "data": 1})
                if what == "endless":
                    chunk = b"x" * (1 << 20)
                    for _ in range(1024):
                        out.write(chunk)
                if what == "flood":
                    for _ in range(200000):
                        out.write(b"this is no message at all, and there is a lot of it\n" * 10)
                if what == "utf8":
                    out.write(b"\xff\xfe not text \xc3\x28\n" * 1000)
                if what == "close":
                    os.close(1)
            say({"type": "emit", "n": m["n"], "port": "out", "data": what})
            say({"type": "done", "n": m["n"]})
        """;

    private readonly CommandStage _stage = new();

    public ValueTask DisposeAsync() => _stage.DisposeAsync();

    [Theory]
    [InlineData("exit", true)]
    [InlineData("signal", true)]
    [InlineData("half", true)]
    [InlineData("unknown", true)]
    [InlineData("malformed", true)]
    [InlineData("port", true)]
    [InlineData("endless", true)]
    [InlineData("close", true)]
    [InlineData("flood", false)]
    [InlineData("utf8", false)]
    public async Task Child_Misbehaves_EveryItemIsAnsweredOnceOthersAreUnharmedAndMemoryIsFlat(string trouble, bool crashes)
    {
        var program = _stage.Program("nasty.py", Nasty);
        var component = await _stage.UpAsync(CommandStage.Plan("nasty", program));
        var neighbour = await _stage.UpAsync(CommandStage.Plan("neighbour", program));
        await CommandStage.SendAsync(component, 0);
        GC.Collect();
        var before = Environment.WorkingSet;

        var inHand = Enumerable.Range(0, 20).Select(i => CommandStage.SendAsync(component, i == 7 ? trouble : i, i)).ToArray();
        for (var i = 0; i < 100; i++)
        {
            (await CommandStage.SendAsync(neighbour, i, i)).ShouldBe([$"out:{i}"]);
        }

        var answers = await Task.WhenAll(inHand);

        answers.Select(a => a.Single()).ShouldBe(Enumerable.Range(0, 20).Select(i => i == 7 ? $"out:\"{trouble}\"" : $"out:{i}"));
        component.Restarts.ShouldBe(crashes ? 1 : 0);
        neighbour.Restarts.ShouldBe(0);
        component.Failure.ShouldBeNull();
        GC.Collect();
        (Environment.WorkingSet - before).ShouldBeLessThan(200L << 20);
    }

    [Fact]
    public async Task Child_LeavesGrandchildrenAtACrash_NoneIsLeft()
    {
        var program = _stage.Program("parent.sh", """
            sleep 100000 &
            echo $! >> grandchildren
            echo '{"type":"ready","v":1}'
            read -r hello
            read -r item
            exit 5
            """);
        var plan = CommandStage.Plan("parent", program, restart: new RestartPlan { Attempts = 1, Backoff = TimeSpan.FromMilliseconds(10) });
        var component = await _stage.UpAsync(plan);
        await Should.ThrowAsync<ComponentFailedException>(() => CommandStage.SendAsync(component, 1));
        await component.CleanupAsync(new CleanupContext(null), default);

        var grandchildren = File.ReadAllLines(Path.Combine(_stage.Folder, "grandchildren"));
        grandchildren.Length.ShouldBe(2);
        await Deadline.Until(() => grandchildren.All(p => !Directory.Exists($"/proc/{p}") || File.ReadAllText($"/proc/{p}/stat").Contains(") Z", StringComparison.Ordinal)), "all grandchildren are gone");
    }

    [Fact]
    public async Task Source_CrashesWhileItSends_NothingIsLostOrTwiceAndItsStateIsGoneOnFrom()
    {
        var program = _stage.Program("numbers.py", """
            import os
            import loom_component as loom
            at = 0
            @loom.source
            def numbers():
                global at
                while at < 90000:
                    at += 1
                    yield at
                    if at == 80000 and not os.path.exists("crashed"):
                        open("crashed", "w").close()
                        loom._lines.flush()
                        os._exit(1)
            @loom.snapshot
            def s(): return at
            @loom.restore
            def r(state):
                global at
                at = state or 0
            loom.run()
            """);
        await using var source = new CommandSource(CommandStage.Plan("numbers", program, ComponentType.Source), _stage.Around());
        await _stage.Stage.SetUpAsync(source);
        var first = await Stage.ReadAsync(source, most: 400);
        var state = (await Stage.SnapshotAsync(source)).ShouldNotBeNull();
        var rest = await Stage.ReadAsync(source);
        first.Concat(rest).Select(r => r.Data.GetInt32()).ShouldBe(Enumerable.Range(1, 90_000));
        first.Concat(rest).Select(r => r.Offset).ShouldBe(Enumerable.Range(0, 90_000).Select(i => (long)i));
        source.Restarts.ShouldBe(1);
        await source.CleanupAsync(new CleanupContext(null), default);

        // The last event handed out went behind the barrier in one run and before it in the other; only the offsets know.
        foreach (var sent in new[] { 399, 400 })
        {
            await using var again = new CommandSource(CommandStage.Plan("numbers", program, ComponentType.Source), _stage.Around());
            await _stage.Stage.SetUpAsync(again);
            await Stage.RestoreAsync(again, state);
            await again.SeekAsync(new Dictionary<string, long> { ["0"] = sent }, default);
            var left = await Stage.ReadAsync(again);
            left.Select(r => r.Data.GetInt32()).ShouldBe(Enumerable.Range(sent + 1, 90_000 - sent));
            left[0].Offset.ShouldBe(sent);
            await again.CleanupAsync(new CleanupContext(null), default);
        }
    }
}
