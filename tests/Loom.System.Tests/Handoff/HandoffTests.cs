using System.Net.Http.Json;
using System.Text.Json;
using Loom.Core.Storage;
using Loom.SystemTests.Harness.Signals;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Handoff;

/// <summary>A real <c>loom up</c>, real files, real engines that others run.</summary>
public sealed class HandoffTests : IAsyncLifetime
{
    private const string Toml = """
        [serving]
        handoff_watch_interval_ms = 200
        [serving.engines.m]
        kind = "mock"
        [serving.pools.chat]
        engine = "m"
        models = ["house"]
        """;

    private readonly HttpClient _http = new();
    private RunningLoom? _loom;
    private Child? _engine;

    private RunningLoom Loom => _loom!;

    private string Folder => Path.Combine(Loom.Folder, ".runtime", "engines");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_loom is not null)
        {
            await _loom.DisposeAsync();
        }

        if (_engine is not null)
        {
            await _engine.DisposeAsync();
        }

        _http.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task Running_EngineOfOthers_AnswersThroughTheGatewayAndIsNeverStopped()
    {
        _loom = await RunningLoom.UpAsync(Toml);
        var url = await EngineAsync("guest");

        Write("ad-x0.json", $$"""{"state":"running","pool_id":"ad","replica_id":"x0","url":"{{url}}","pid":{{_engine!.Pid}},"slots_total":2,"slots_free":99}""");
        await Deadline.Until(() => !File.Exists(Path.Combine(Folder, "ad-x0.json")), "the file is taken over and deleted");
        await UntilModelAsync("guest");

        using var answer = await _http.PostAsJsonAsync(new Uri(Loom.Api, "/v1/completions"), new { model = "guest", prompt = "hi", max_tokens = 3 });
        answer.IsSuccessStatusCode.ShouldBeTrue(await answer.Content.ReadAsStringAsync());
        answer.Headers.GetValues("x-loom-pool").ShouldBe(["ad"]);
        (await ReplicaAsync("ad")).GetProperty("slots_total").GetInt32().ShouldBe(2);

        _engine.Signal(9);
        await UntilAsync("ad", r => r.GetProperty("state").GetString() == "unready" && r.GetProperty("last_error").GetString()!.Length > 0, "unready with a reason");
        (await RunningLoom.RunAsync(Loom.Folder, ["pools", "purge", "ad"])).Exit.ShouldBe(0);
        (await FindAsync("ad")).ShouldBeNull("a purged pool of others is forgotten");
        Loom.Survivors().ShouldNotContain(s => s.Contains("guest"));
        (await Loom.StopAsync()).ShouldBe(0);
    }

    [Fact(Timeout = 240_000)]
    public async Task HalfAFile_CompletedLater_IsRegistered()
    {
        _loom = await RunningLoom.UpAsync(Toml);
        var url = await EngineAsync("guest");
        var whole = $$"""{"state":"running","pool_id":"ad","replica_id":"x0","url":"{{url}}","model":{"id":"late"} }""";

        Write("ad-x0.json", whole[..40]);
        // Patience with it ends after five seconds, so nothing else is waited for.
        await RunningSystem.UntilAsync(
            async () => (await GetAsync("/metrics")).Contains("pool_mgr_handoff_files_total{outcome=\"retried\"}", StringComparison.Ordinal), "the half file has been looked at");
        (await ModelsAsync()).ShouldNotContain("late");

        Write("ad-x0.json", whole);
        await Deadline.Until(() => !File.Exists(Path.Combine(Folder, "ad-x0.json")), "the completed file is taken over");
        await UntilModelAsync("late");
        Directory.Exists(Path.Combine(Folder, "quarantine")).ShouldBeFalse();
    }

    [Fact(Timeout = 240_000)]
    public async Task BadFiles_GoToQuarantineWithTheirReason()
    {
        _loom = await RunningLoom.UpAsync(Toml);
        Write("garbage.json", "{\"pool_id\":\"ad\",\n  oops");
        Write("far.json", """{"pool_id":"ad","replica_id":"x0","url":"http://192.0.2.1:80"}""");
        Write("nobody.json", """{"pool_id":"nobody","replica_id":"r0","state":"prepared"}""");
        Write(".hidden.json", "garbage");
        File.CreateSymbolicLink(Path.Combine(Folder, "link.json"), Path.Combine(Folder, ".hidden.json"));
        if (PrivateFolder.User == 0)
        {
            // Another's from the first look on.
            File.WriteAllText(Path.Combine(Folder, "stranger.part"), """{"pool_id":"ad","replica_id":"x9","url":"http://127.0.0.1:1"}""");
            await using var chown = Child.Start(Folder, ["chown", "4711", "stranger.part"]);
            await chown.Exited;
            File.Move(Path.Combine(Folder, "stranger.part"), Path.Combine(Folder, "stranger.json"));
            await UntilQuarantined("stranger.json", "user id 4711");
        }

        await UntilQuarantined("far.json", "found http://192.0.2.1:80");
        await UntilQuarantined("nobody.json", "there is no pool 'nobody'");
        await UntilQuarantined("garbage.json", "line 2, column 3");
        File.Exists(Path.Combine(Folder, ".hidden.json")).ShouldBeTrue();
        Path.Exists(Path.Combine(Folder, "link.json")).ShouldBeTrue();
        (await ReplicaAsync("chat")).GetProperty("state").GetString().ShouldBe("ready");
    }

    [Fact(Timeout = 240_000)]
    public async Task AutoDeleteOff_FileStays_RewrittenIsReadAgain_SameContentIsNot()
    {
        _loom = await RunningLoom.UpAsync(Toml + "\n[serving.node]\nauto_delete_handoff = false\n");
        var url = await EngineAsync("guest");
        string Document(int slots) => $$"""{"pool_id":"ad","replica_id":"x0","url":"{{url}}","slots":{{slots}} }""";

        Write("ad-x0.json", Document(3));
        await UntilAsync("ad", r => r.GetProperty("state").GetString() == "ready" && r.GetProperty("slots_total").GetInt32() == 3, "ready with 3 slots");
        File.Exists(Path.Combine(Folder, "ad-x0.json")).ShouldBeTrue();

        Write("ad-x0.json", Document(3));
        Write("ad-x1.json", Document(1).Replace("x0", "x1", StringComparison.Ordinal)); // taken in a scan that has seen the other, too
        await Deadline.Until(() => Taken().Contains("ad-x1.json"), "the second file is taken over");
        Taken().ShouldBe(["ad-x0.json", "ad-x1.json"]);

        Write("ad-x0.json", Document(5));
        await UntilAsync("ad", r => r.GetProperty("slots_total").GetInt32() == 5, "5 slots");

        File.Delete(Path.Combine(Folder, "ad-x0.json"));
        Write("ad-x2.json", Document(1).Replace("x0", "x2", StringComparison.Ordinal));
        await Deadline.Until(() => Taken().Contains("ad-x2.json"), "a file after the deletion is taken over");
        (await ReplicaAsync("ad")).GetProperty("state").GetString().ShouldBe("ready", "deleting a file by hand stops nothing");
    }

    [Fact(Timeout = 240_000)]
    public async Task DeadEngine_FileStaysAndIsTakenUpWhenItAnswers()
    {
        _loom = await RunningLoom.UpAsync(Toml);
        var port = FreePorts.Next();
        var url = await EngineAsync("guest", port);
        await _engine!.DisposeAsync();

        Write("ad-x0.json", $$"""{"pool_id":"ad","replica_id":"x0","url":"{{url}}","model":{"id":"guest"} }""");
        await UntilAsync("ad", r => r.GetProperty("state").GetString() == "unready" && r.GetProperty("last_error").GetString()!.Contains("cannot be reached"), "unready, told why");
        File.Exists(Path.Combine(Folder, "ad-x0.json")).ShouldBeTrue();

        await EngineAsync("guest", port);
        await UntilAsync("ad", r => r.GetProperty("state").GetString() == "ready", "ready");
        await Deadline.Until(() => !File.Exists(Path.Combine(Folder, "ad-x0.json")), "the file is deleted");
    }

    [Fact(Timeout = 240_000)]
    public async Task Provisioner_PreparedEngine_IsStartedByTheRunningAgent()
    {
        _loom = await RunningLoom.UpAsync(Toml + "\n[serving.pools.late]\nengine = \"m\"\nmodels = [\"late\"]\npreload = false\nreplicas = 2\n");
        (await ReplicaAsync("late")).GetProperty("state").GetString().ShouldBe("stopped");

        var (exit, lines, errors) = await RunningLoom.RunAsync(Loom.Folder, ["engine-provisioner", "--pool", "late", "--wait", "--json"]);

        exit.ShouldBe(0, errors);
        await UntilAsync("late", r => r.GetProperty("state").GetString() == "ready", "ready");
        await Deadline.Until(() => Directory.GetFiles(Folder).Length == 0, "its file is deleted");
        var steps = lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        steps.ShouldAllBe(s => s.EnumerateObject().Select(p => p.Name).SequenceEqual(new[] { "step", "kind", "group", "status", "bytes_done", "bytes_total", "pct", "phase", "human" }));
        steps.Where(s => s.GetProperty("status").GetString() == "completed").Select(s => s.GetProperty("step").GetString()).ShouldBe(["engine:mock", "handoff", "warm", "warm"]);
    }

    [Fact(Timeout = 300_000)]
    public async Task Start_FolderOthersCanWrite_IsRefused()
    {
        var folder = RunningLoom.NewFolder(Toml);
        try
        {
            var handoff = Directory.CreateDirectory(Path.Combine(folder, ".runtime", "engines")).FullName;
            File.SetUnixFileMode(handoff, (UnixFileMode)0b111_111_111);
            var (exit, _, errors) = await RunningLoom.RunAsync(folder, ["up", "--no-input"]);

            exit.ShouldBe(2);
            errors.ShouldContain("so they could start programs here");
        }
        finally
        {
            TempFolder.Delete(folder);
        }
    }

    // Whole from the start: a file that is written in its place is empty for a moment, and may be looked at then.
    private void Write(string name, string content)
    {
        File.WriteAllText(Path.Combine(Folder, name + ".part"), content);
        File.Move(Path.Combine(Folder, name + ".part"), Path.Combine(Folder, name), overwrite: true);
    }

    private async Task<string> EngineAsync(string model, int port = 0)
    {
        _engine = Child.Start(Loom.Folder, [RunningLoom.Program, "dev", "mock-engine", "--json", "--model", model, "--port", $"{port}"]);
        await Deadline.Until(() => _engine.Output.Contains("\"url\"", StringComparison.Ordinal) && _engine.Output.Contains('\n'), "the mock engine is up");
        return JsonDocument.Parse(_engine.Output.Split('\n')[0]).RootElement.GetProperty("url").GetString()!;
    }

    private async Task UntilQuarantined(string name, string reason)
    {
        var told = Path.Combine(Folder, "quarantine", name + ".reason.txt");
        await Deadline.Until(() => File.Exists(told) && File.ReadAllText(told).Contains(reason, StringComparison.Ordinal), $"{name} is in quarantine, because of {reason}");
        await Deadline.Until(() => File.Exists(Path.Combine(Folder, "quarantine", name)) && !File.Exists(Path.Combine(Folder, name)), $"{name} itself is there");
    }

    private List<string> Taken() =>
        [.. File.ReadAllLines(Path.Combine(Loom.Folder, ".loom", "logs", "loom.log")).Where(l => l.Contains("taken over as")).Select(l => l.Split("handoff file ")[1].Split(' ')[0])];

    private async Task<List<string>> ModelsAsync()
    {
        using var models = JsonDocument.Parse(await _http.GetStringAsync(new Uri(Loom.Api, "/v1/models")));
        return [.. models.RootElement.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()!)];
    }

    // The control plane hears of an engine a moment after the agent has taken it over.
    private Task UntilModelAsync(string model) => RunningSystem.UntilAsync(async () => (await ModelsAsync()).Contains(model), $"{model} is offered");

    private async Task UntilAsync(string pool, Func<JsonElement, bool> condition, string what)
    {
        var end = TimeProvider.System.GetTimestamp();
        while (await FindAsync(pool) is not { } replica || !condition(replica))
        {
            if (TimeProvider.System.GetElapsedTime(end) > RunningLoom.Deadline)
            {
                throw new TimeoutException($"pool {pool} did not become {what}: {await FindAsync(pool)}");
            }

            await Task.Delay(50);
        }
    }

    private async Task<JsonElement> ReplicaAsync(string pool) => (await FindAsync(pool)).ShouldNotBeNull();

    private async Task<string> GetAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Loom.Api, path));
        request.Headers.Authorization = new("Bearer", Loom.Token);
        using var answer = await _http.SendAsync(request);
        return await answer.Content.ReadAsStringAsync();
    }

    private async Task<JsonElement?> FindAsync(string pool)
    {
        using var health = JsonDocument.Parse(await GetAsync("/health/detail"));
        var found = health.RootElement.GetProperty("replicas").EnumerateArray().FirstOrDefault(r => r.GetProperty("pool").GetString() == pool);
        return found.ValueKind == JsonValueKind.Object ? found.Clone() : null;
    }
}
