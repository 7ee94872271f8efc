using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Commands;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Commands;

public sealed class CommandComponentTests : IAsyncDisposable
{
    private const string Python = """
        import loom_component as loom

        @loom.item
        def shout(event):
            if not isinstance(event.data, str):
                raise loom.ItemError("not_a_string", "wants a string", retryable=True)
            yield event.data.upper()
            if event.data == "two":
                yield loom.Emit(event.headers, port="other", key="K")

        loom.run()
        """;

    private const string Unspeakable = """
        import loom_component as loom

        @loom.item
        def same(event):
            return {"surrogate": "\udc80", "nan": float("nan")}.get(event.data, event.data)

        loom.run()
        """;

    private const string Node = """
        import { component, ItemError, Emit } from './loom-component.mjs';
        await component({
          item: async function* (event) {
            if (typeof event.data !== 'string') throw new ItemError('not_a_string', 'wants a string', { retryable: true });
            yield event.data.toUpperCase();
            if (event.data === 'two') yield new Emit(event.headers, { port: 'other', key: 'K' });
          },
        });
        """;

    private const string Counter = """
        import os, sys
        import loom_component as loom
        total = 0

        @loom.item
        def count(event):
            global total
            if event.data == "die" and event.attempt == 1:
                os._exit(9)
            if event.data == "poison":
                os._exit(7)
            total += event.data if isinstance(event.data, int) else 0
            return total

        @loom.snapshot
        def snapshot():
            return {"total": total}

        @loom.restore
        def restore(state):
            global total
            total = state["total"]

        loom.run()
        """;

    private readonly CommandStage _stage = new();

    public ValueTask DisposeAsync() => _stage.DisposeAsync();

    [Theory]
    [InlineData("python", "shout.py", Python)]
    [InlineData("node", "shout.mjs", Node)]
    [InlineData("shell", "upper.sh", "")]
    public async Task Item_InThreeLanguages_BecomesTheSame(string name, string file, string text)
    {
        var component = await _stage.UpAsync(CommandStage.Plan(name, text.Length == 0 ? ["sh", file] : _stage.Program(file, text)));

        (await CommandStage.SendAsync(component, "abc \n \"d\" 日本")).ShouldBe([@"out:""ABC \n \""D\"" 日本"""]);
        var error = await Should.ThrowAsync<ItemException>(() => CommandStage.SendAsync(component, 7));
        error.Code.ShouldBe("not_a_string");
        (await CommandStage.SendAsync(component, "after")).ShouldBe(["out:\"AFTER\""]);
        await component.CleanupAsync(new CleanupContext(null), default);
        _stage.Supervisor.Processes.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("batch.py", "import loom_component as loom\n@loom.batch\ndef b(events):\n    pass\nloom.run()\n")]
    [InlineData("batch.mjs", "import { component } from './loom-component.mjs';\nawait component({ batch: async () => {} });\n")]
    public async Task Item_ProgramWithoutAHandlerForIt_RefusesItAndLives(string file, string text)
    {
        var component = await _stage.UpAsync(CommandStage.Plan("batches", _stage.Program(file, text)));
        for (var i = 0; i < 2; i++)
        {
            var error = await Should.ThrowAsync<ItemException>(() => CommandStage.SendAsync(component, "x", i, TestContext.Current.CancellationToken));
            error.Code.ShouldBe("no_handler");
        }

        component.Restarts.ShouldBe(0);
    }

    [Theory]
    [InlineData("surrogate")]
    [InlineData("nan")]
    public async Task Item_GivesWhatIsNoJson_FailsAloneAndTheNextOnesArrive(string bad)
    {
        var component = await _stage.UpAsync(CommandStage.Plan("same", _stage.Program("same.py", Unspeakable)));
        await Should.ThrowAsync<ItemException>(() => CommandStage.SendAsync(component, bad, 0, TestContext.Current.CancellationToken));
        (await CommandStage.SendAsync(component, "fine", 1, TestContext.Current.CancellationToken)).ShouldBe(["out:\"fine\""]);
    }

    [Fact]
    public async Task Items_ManyAtOnce_AreAnsweredEachAndPortsAndKeysFollow()
    {
        var component = await _stage.UpAsync(CommandStage.Plan("many", _stage.Program("shout.py", Python)));
        component.InFlight.ShouldBe(16);
        var answers = await Task.WhenAll(Enumerable.Range(0, 2000).Select(i => CommandStage.SendAsync(component, $"item {i}", i)));
        answers.Select(a => a.Single()).ShouldBe(Enumerable.Range(0, 2000).Select(i => $"out:\"ITEM {i}\""));
        (await CommandStage.SendAsync(component, "two")).ShouldBe(["out:\"TWO\"", "other:{}"]);
    }

    [Fact]
    public async Task Crash_WithStateAndItemsInHand_BringsStateBackAndDeliversAgain()
    {
        var component = await _stage.UpAsync(CommandStage.Plan("count", _stage.Program("count.py", Counter)));
        (await CommandStage.SendAsync(component, 5)).ShouldBe(["out:5"]);
        var state = await Stage.SnapshotAsync(component);
        System.Text.Encoding.UTF8.GetString(state!).ShouldBe("""[{"total":5}]""");
        (await CommandStage.SendAsync(component, 6)).ShouldBe(["out:11"]);

        var inHand = new[] { CommandStage.SendAsync(component, 1, 1), CommandStage.SendAsync(component, "die", 2), CommandStage.SendAsync(component, 2, 3) };
        (await Task.WhenAll(inHand)).Select(a => a.Single()).ShouldBe(["out:12", "out:12", "out:14"]);

        component.Restarts.ShouldBe(1);
        component.Failure.ShouldBeNull();
    }

    [Fact]
    public async Task Crash_OnTheSameItemThreeTimes_GivesThatOneUpAndKeepsTheOthers()
    {
        var component = await _stage.UpAsync(CommandStage.Plan("count", _stage.Program("count.py", Counter)));
        var others = Enumerable.Range(1, 5).Select(i => CommandStage.SendAsync(component, 1, i)).ToArray();
        var poison = CommandStage.SendAsync(component, "poison", 6);
        var after = Enumerable.Range(7, 5).Select(i => CommandStage.SendAsync(component, 1, i)).ToArray();

        var error = await Should.ThrowAsync<ItemException>(() => poison);
        error.Code.ShouldBe("crashed");
        error.Message.ShouldContain("exit code 7");
        (await Task.WhenAll([.. others, .. after])).Select(a => a.Single()).ShouldBe(Enumerable.Range(1, 10).Select(i => $"out:{i}"));
        component.Restarts.ShouldBe(3);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Crash_BeyondItsRestarts_FailsTheComponentOrItsItems(bool isolate)
    {
        var restart = new RestartPlan
        {
            Attempts = 1,
            Backoff = TimeSpan.FromMilliseconds(10),
            OnExhausted = isolate ? OnExhausted.Isolate : OnExhausted.FailSystem,
        };
        var component = await _stage.UpAsync(CommandStage.Plan("count", _stage.Program("count.py", Counter), restart: restart));
        for (var i = 0; i < 2; i++)
        {
            var sending = CommandStage.SendAsync(component, "poison");
            if (isolate)
            {
                (await Should.ThrowAsync<ItemException>(() => sending)).Code.ShouldBe("component_failed");
            }
            else
            {
                (await Should.ThrowAsync<ComponentFailedException>(() => sending)).Message.ShouldContain("crashed more than 1 times within 60 s; the last time: it ended (exit code 7)");
            }
        }

        component.Failure.ShouldNotBeNull();
    }

    [Fact]
    public async Task Cancel_ItemThatIsNotAnswered_EndsTheProgramAndTheNextItemWorks()
    {
        var program = _stage.Program("hang.sh", """
            echo '{"type":"ready","v":1}'
            while read -r line; do
              case $line in
                *hang*) : > hanging; sleep 1000 ;;
                *'"type":"item"'*) n=${line#*'"n":'}; n=${n%%,*}; echo "{\"type\":\"emit\",\"n\":$n,\"port\":\"out\",\"data\":1}"; echo "{\"type\":\"done\",\"n\":$n}" ;;
                *'"type":"cleanup"'*) echo '{"type":"bye"}'; exit ;;
              esac
            done
            """);
        var component = await _stage.UpAsync(CommandStage.Plan("deaf", program));
        (await CommandStage.SendAsync(component, "first")).ShouldBe(["out:1"]);
        using var timeout = new CancellationTokenSource();
        var hanging = CommandStage.SendAsync(component, "hang", ct: timeout.Token);
        await Deadline.Until(() => File.Exists(Path.Combine(_stage.Folder, "hanging")), "the program has the item");
        await timeout.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => hanging);

        (await CommandStage.SendAsync(component, "next")).ShouldBe(["out:1"]);
        component.Restarts.ShouldBe(1);
    }

    [Fact]
    public async Task Setup_ProgramSaysNothing_FailsInTimeAndLeavesNothing()
    {
        await using var stage = new CommandStage { SetupTimeout = TimeSpan.FromSeconds(1) };
        var error = await Should.ThrowAsync<IOException>(() => stage.UpAsync(CommandStage.Plan("mute", ["sleep", "1000"])));
        error.Message.ShouldContain("did not say ready within 1 s");
        stage.Supervisor.Processes.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("echo broken >&2; exit 3", "exit code 3")]
    [InlineData("echo broken >&2; exit 3", "its last words: broken")]
    [InlineData("echo '{\"type\":\"ready\",\"v\":2}'; sleep 1000", "speaks version 2")]
    public async Task Setup_ProgramFails_SaysHow(string script, string words) =>
        (await Should.ThrowAsync<IOException>(() => _stage.UpAsync(CommandStage.Plan("broken", ["sh", "-c", script])))).Message.ShouldContain(words);

    [Fact]
    public async Task Setup_NoSuchCommand_SaysSo() =>
        (await Should.ThrowAsync<IOException>(() => _stage.UpAsync(CommandStage.Plan("none", ["no-such-program-anywhere"])))).Message.ShouldContain("no-such-program-anywhere");

    [Fact]
    public async Task Restore_StateOfAnEarlierRun_GoesOnFromThere()
    {
        var plan = CommandStage.Plan("count", _stage.Program("count.py", Counter));
        var component = new CommandComponent(plan, _stage.Around());
        await _stage.Stage.SetUpAsync(component);
        await Stage.RestoreAsync(component, """[{"total":40}]"""u8.ToArray());
        (await CommandStage.SendAsync(component, 2)).ShouldBe(["out:42"]);
    }

    [Fact]
    public async Task Replicas_KeyedItems_KeepToTheirProgramAndStateIsKeptForEach()
    {
        var component = await _stage.UpAsync(CommandStage.Plan("count", _stage.Program("count.py", Counter), replicas: 2));
        for (var i = 1; i <= 10; i++)
        {
            (await CommandStage.SendAsync(component, 1, i)).ShouldBe([$"out:{i}"]);
        }

        JsonSerializer.Deserialize<JsonElement[]>(await Stage.SnapshotAsync(component))!.Select(s => s.GetProperty("total").GetInt32()).Order().ShouldBe([0, 10]);
    }
}
