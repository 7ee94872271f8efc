using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>Dead letters that are sent again.</summary>
public sealed class RetryTests
{
    private static string Post(Receiver receiver, string more = "") => $$"""
        schema_version: "1.0.0"
        system: { name: post, version: 1.0.0 }
        components:
          - { name: lines, type: Source, uses: jsonl, config: { path: in.jsonl, follow: true } }
          - { name: send, type: Sink, uses: http_out, config: { url: "{{receiver.Address}}/in" }{{more}} }
        bindings: [ { from: lines.out, to: send.in } ]
        policy: { security: { allow_hosts: [127.0.0.1] } }
        """;

    private static void Orders(TempFolder folder) => File.WriteAllLines(folder["in.jsonl"], Enumerable.Range(0, 20).Select(n => $$"""{"n":{{n}}}"""));

    private static async Task<IReadOnlyList<int>> LettersAsync(RunningSystem system)
    {
        var (exit, output, error) = await system.TypeAsync("dead-letters", "list", ".", "--json");
        exit.ShouldBe(0, error);
        var ids = JsonElement.Parse(output).GetProperty("letters").EnumerateArray().Select(l => l.GetProperty("event").GetProperty("id").GetString()!).ToList();
        return [.. ids.Select(i => int.Parse(i.Split(':')[^1])).Order()];
    }

    private static Task AllFailAsync(RunningSystem system) =>
        RunningSystem.UntilAsync(async () => (await system.GetAsync("/health")).GetProperty("dead_letters").GetInt64() == 20, "all orders are letters");

    [Theory]
    [InlineData("")]
    [InlineData(", concurrency: 4")]
    [InlineData(", batching: { max_items: 4, max_ms: 5 }")]
    public async Task Retry_ReceiverIsMended_LettersArriveAndAreGone(string more)
    {
        await using var receiver = await Receiver.StartAsync();
        receiver.Status = 422;
        await using var system = await RunningSystem.StartAsync(Post(receiver, more), Orders);
        await AllFailAsync(system);

        // Still refused: a letter that fails again is one letter, not two.
        (await system.TypeAsync("dead-letters", "retry")).Err.ShouldContain("20 dead letters sent again");
        (await LettersAsync(system)).Count.ShouldBe(20);

        receiver.Status = 200;
        receiver.Taken.Clear();
        var (exit, _, error) = await system.TypeAsync("dead-letters", "retry", "--component", "send");
        (exit, error.Trim()).ShouldBe((0, "20 dead letters sent again"));

        (await LettersAsync(system)).ShouldBeEmpty();
        receiver.Taken.Select(t => JsonElement.Parse(t.Body)).Select(b => b.ValueKind == JsonValueKind.Array ? b.EnumerateArray().Single() : b) // a batch of one
            .Select(b => b.GetProperty("n").GetInt32()).Order().ShouldBe(Enumerable.Range(0, 20));
        var counts = await system.GetAsync("/components/send");
        (counts.GetProperty("taken").GetInt64(), counts.GetProperty("done").GetInt64(), counts.GetProperty("dead_lettered").GetInt64()).ShouldBe((60, 20, 40));
        (await system.DrainAsync()).ShouldBe(0, system.Err);
    }

    [Fact]
    public async Task Retry_OneId_OnlyThatOne()
    {
        await using var receiver = await Receiver.StartAsync();
        receiver.Status = 422;
        await using var system = await RunningSystem.StartAsync(Post(receiver), Orders);
        await AllFailAsync(system);
        receiver.Status = 200;
        var list = JsonElement.Parse((await system.TypeAsync("dead-letters", "list", ".", "--json")).Out).GetProperty("letters");

        var (exit, _, error) = await system.TypeAsync("dead-letters", "retry", list[3].GetProperty("error_id").GetString()!);

        (exit, error.Trim()).ShouldBe((0, "one dead letter sent again"));
        (await LettersAsync(system)).Count.ShouldBe(19);
    }

    [Fact]
    public async Task Retry_KilledInBetween_LettersAreStillThere()
    {
        await using var receiver = await Receiver.StartAsync();
        receiver.Status = 422;
        await using var system = await RunningSystem.StartAsync(Post(receiver), Orders);
        await AllFailAsync(system);
        (await system.AskAsync("/checkpoint")).Status.ShouldBe(System.Net.HttpStatusCode.OK);
        receiver.Status = 200;
        receiver.Taken.Clear();
        receiver.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        var retry = system.TypeAsync("dead-letters", "retry");
        await Deadline.Until(() => receiver.Taken.Count == 1, "the first is on its way", RunningLoom.Deadline);
        await system.KillAsync();
        receiver.Hold.SetResult();
        receiver.Hold = null;
        (await retry).Exit.ShouldNotBe(0);
        (await LettersAsync(system)).Count.ShouldBe(20);

        await system.LaunchAsync();
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/health")).GetProperty("ready").GetBoolean(), "it is ready");
        (await system.TypeAsync("dead-letters", "retry")).Exit.ShouldBe(0);
        (await LettersAsync(system)).ShouldBeEmpty();
        receiver.Taken.Select(t => JsonElement.Parse(t.Body).GetProperty("n").GetInt32()).Distinct().Count().ShouldBe(20);
    }

    [Fact]
    public async Task Retry_WhoeverAskedIsGone_AuditedAndWhatWasNotBegunIsStillALetter()
    {
        await using var receiver = await Receiver.StartAsync();
        receiver.Status = 422;
        await using var system = await RunningSystem.StartAsync(Post(receiver), Orders);
        await AllFailAsync(system);
        receiver.Status = 200;
        receiver.Taken.Clear();
        receiver.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        using var gone = new CancellationTokenSource();
        var retry = system.AskAsync("/dead-letters/retry", "{}", gone.Token);
        await Deadline.Until(() => receiver.Taken.Count == 1, "the first is on its way", RunningLoom.Deadline);
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(retry);

        // The server learns of it a moment later; until then it goes on, one letter at a time.
        var audit = system.Folder[".loom/harness/post/audit.jsonl"];
        for (var let = 1; !File.Exists(audit); let++)
        {
            await system.GetAsync("/health");
            var held = receiver.Hold;
            receiver.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            held.SetResult();
            await Deadline.Until(() => receiver.Taken.Count > let || File.Exists(audit), "the next is on its way, or it has ended", RunningLoom.Deadline);
        }

        await Deadline.Until(() => File.ReadAllText(audit).Contains("abandoned: ", StringComparison.Ordinal), "it is audited", RunningLoom.Deadline);
        var left = await LettersAsync(system);
        left.Count.ShouldBe(20 - receiver.Taken.Count, "what was begun is crossed out, the rest is untouched");

        receiver.Hold = null;
        var (exit, _, error) = await system.TypeAsync("dead-letters", "retry");
        exit.ShouldBe(0, error);
        (await LettersAsync(system)).ShouldBeEmpty();
        receiver.Taken.Select(t => JsonElement.Parse(t.Body).GetProperty("n").GetInt32()).Order().ShouldBe(Enumerable.Range(0, 20), "each once");
        (await system.DrainAsync()).ShouldBe(0, system.Err);
    }

    [Fact]
    public async Task Retry_NoSystemRuns_SaysSo()
    {
        using var folder = new TempFolder();
        var (exit, _, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "dead-letters", "retry"]);
        exit.ShouldNotBe(0);
        error.ShouldContain("no system runs");
    }
}
