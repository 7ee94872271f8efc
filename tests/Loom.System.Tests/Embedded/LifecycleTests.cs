using Loom.Node.Demo;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

public sealed class LifecycleTests : IDisposable
{
    private static readonly object s_endless = new
    {
        messages = new[] { new { role = "user", content = "the weaver" } },
        stream = true,
        logit_bias = new Dictionary<string, int> { ["1"] = -100 }, // no end token: runs until the context is full
    };

    private readonly TempFolder _folder = new();

    private string Model => _folder[DemoModel.FileName];

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 300_000)]
    public async Task Disconnect_WhileStreaming_FreesTheSlotAndStops()
    {
        DemoModelWriter.Write(Model);
        await using var adapter = await AdapterProcess.StartReadyAsync(Model, "--slots", "1", "--ctx", "2048");
        using (var answer = await adapter.OpenStreamAsync("/v1/chat/completions", s_endless))
        {
            using var events = await answer.Content.ReadAsStreamAsync();
            (await events.ReadAsync(new byte[64])).ShouldBeGreaterThan(0);
            (await IsProcessingAsync(adapter)).ShouldBeTrue();
        }

        await Deadline.Until(() => !IsProcessingAsync(adapter).GetAwaiter().GetResult(), "the slot is free");
        var after = await adapter.MetricAsync("n_decode_total");
        var (status, _) = await adapter.PostAsync("/v1/completions", new { prompt = "the", max_tokens = 1 });
        status.ShouldBe(200);
        (await adapter.MetricAsync("n_decode_total")).ShouldBeLessThanOrEqualTo(after + 1); // only the new request's
    }

    [Fact(Timeout = 300_000)]
    public async Task Disconnect_WhileWaitingForASlot_LeavesTheLine()
    {
        DemoModelWriter.Write(Model);
        await using var adapter = await AdapterProcess.StartReadyAsync(Model, "--slots", "1", "--ctx", "2048");
        using var first = await adapter.OpenStreamAsync("/v1/chat/completions", s_endless);
        using var gone = new CancellationTokenSource();
        using var body = new StringContent("""{"prompt":"the","max_tokens":1}""");
        var second = adapter.Http.PostAsync("/v1/completions", body, gone.Token);
        await Deadline.Until(() => adapter.MetricAsync("requests_deferred").GetAwaiter().GetResult() == 1, "the second request waits");

        await gone.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(second);
        await Deadline.Until(() => adapter.MetricAsync("requests_deferred").GetAwaiter().GetResult() == 0, "the second request has left");
    }

    [Fact(Timeout = 300_000)]
    public async Task Terminate_WhileGenerating_EndsWithZero()
    {
        DemoModelWriter.Write(Model);
        await using var adapter = await AdapterProcess.StartReadyAsync(Model, "--slots", "2", "--ctx", "2048");
        using var answer = await adapter.OpenStreamAsync("/v1/chat/completions", s_endless);

        await adapter.TerminateAsync();

        (await adapter.ExitAsync()).ShouldBe(0);
    }

    [Fact(Timeout = 300_000)]
    public async Task Load_ModelCutShort_EndsWithOneAndSaysWhich()
    {
        DemoModelWriter.Write(Model);
        using (var file = new FileStream(Model, FileMode.Open))
        {
            file.SetLength(file.Length / 2);
        }

        await using var adapter = await AdapterProcess.StartAsync(Model);

        (await adapter.ExitAsync()).ShouldBe(1);
        adapter.Errors.ShouldContain($"cannot load the model '{Model}'");
        adapter.Errors.ShouldContain("not within the file bounds");
    }

    [Fact(Timeout = 300_000)]
    public async Task Load_NoModelFile_EndsWithOneAndSaysWhich()
    {
        await using var adapter = await AdapterProcess.StartAsync(Model);

        (await adapter.ExitAsync()).ShouldBe(1);
        adapter.Errors.ShouldContain(Model);
    }

    [Fact(Timeout = 300_000)]
    public async Task Completion_OneSlot_SameTokensWhateverIsCached()
    {
        DemoModelWriter.Write(Model);
        await using var adapter = await AdapterProcess.StartReadyAsync(Model, "--slots", "1");
        var prompt = string.Concat(Enumerable.Repeat("the weaver and the loom ", 30));
        async Task<(string Text, int Cached)> Ask(string text)
        {
            var (_, body) = await adapter.PostAsync("/v1/completions", new { prompt = text, seed = 5, max_tokens = 40 });
            return ((string)body["choices"]![0]!["text"]!, (int)body["timings"]!["cache_n"]!);
        }

        var fresh = await Ask(prompt);
        var again = await Ask(prompt);
        await Ask(prompt[..200]);
        var partly = await Ask(prompt);

        fresh.Cached.ShouldBe(0);
        again.Cached.ShouldBe(128); // whole pieces of 32 only, see EqualPieces
        partly.Cached.ShouldBe(32);
        again.Text.ShouldBe(fresh.Text);
        partly.Text.ShouldBe(fresh.Text);
    }

    [Fact(Timeout = 300_000)]
    public async Task Models_Demo_SaysWhatItIs()
    {
        DemoModelWriter.Write(Model);
        await using var adapter = await AdapterProcess.StartReadyAsync(Model, "--slots", "3", "--ctx", "512", "--deterministic");

        var model = (await adapter.GetAsync("/v1/models"))["data"]![0]!;
        ((string)model["id"]!).ShouldBe("demo");
        ((string)model["description"]!).ShouldBe(DemoModel.Description);
        ((int)model["meta"]!["n_ctx"]!).ShouldBe(512);
        (await adapter.GetAsync("/slots")).AsArray().Count.ShouldBe(1); // deterministic
    }

    private static async Task<bool> IsProcessingAsync(AdapterProcess adapter) => (bool)(await adapter.GetAsync("/slots"))[0]!["is_processing"]!;
}
