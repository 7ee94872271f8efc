using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Samples;

/// <summary>Each sample system, run by the real program from a copy of its folder: what it writes, to the byte.</summary>
public sealed class SampleTests
{
    private const string Token = "a-token-for-these-tests-alone";

    private static readonly string[] s_counts =
    [
        """{"key":"checkout","start":"2026-03-01T10:00:00Z","end":"2026-03-01T10:01:00Z","lines":2,"errors":1}""",
        """{"key":"search","start":"2026-03-01T10:00:00Z","end":"2026-03-01T10:01:00Z","lines":4,"errors":0}""",
        """{"key":"checkout","start":"2026-03-01T10:01:00Z","end":"2026-03-01T10:02:00Z","lines":1,"errors":0}""",
        """{"key":"search","start":"2026-03-01T10:01:00Z","end":"2026-03-01T10:02:00Z","lines":3,"errors":2}""",
        """{"key":"checkout","start":"2026-03-01T10:02:00Z","end":"2026-03-01T10:03:00Z","lines":2,"errors":0}""",
        """{"key":"mail","start":"2026-03-01T10:02:00Z","end":"2026-03-01T10:03:00Z","lines":1,"errors":0}""",
    ];

    [Fact]
    public async Task Samples_AreLockedAndCheckFindsNothing()
    {
        SampleSystem.Names.ShouldBe(["enrich", "log_stats", "rag_ingest", "triage_api"], ignoreOrder: true);
        foreach (var name in SampleSystem.Names)
        {
            using var sample = new SampleSystem(name);
            var (exit, output, error) = await sample.RunAsync("lock", "--check");
            exit.ShouldBe(0, $"samples/pipeline/{name}: loom harness lock\n{output}{error}");
            var check = JsonElement.Parse((await sample.RunAsync("check", "--json")).Out);
            check.GetProperty("findings").GetArrayLength().ShouldBe(0, check.GetRawText());
            File.ReadAllLines(sample["README.md"]).Length.ShouldBeLessThanOrEqualTo(25);
        }
    }

    [Fact]
    public async Task LogStats_CountsEachMinuteAndKeepsTheLineItCannotRead()
    {
        using var sample = new SampleSystem("log_stats");
        var report = await sample.RunToEndAsync();
        SampleSystem.Taken(report, "log").ShouldBe(14);
        File.ReadAllLines(sample["out/counts.jsonl"]).ShouldBe(s_counts);
        (await sample.RunAsync("dead-letters")).Out.ShouldContain("expression_error");

        // The second run goes on where the first one ended, and there is nothing more.
        SampleSystem.Taken(await sample.RunToEndAsync("--strict"), "log").ShouldBe(0);
        File.ReadAllLines(sample["out/counts.jsonl"]).ShouldBe(s_counts);
    }

    [Fact]
    public async Task Enrich_LabelsEachRecordOnce()
    {
        using var sample = new SampleSystem("enrich");
        await sample.RunToEndAsync();
        var rows = sample.Rows("out/labels.db", "SELECT id, substr(label, 1, 16), _mock FROM labels ORDER BY id");
        rows.ShouldBe(Enumerable.Range(1, 8).Select(n => $"t{n}|[MOCK] Answer wi|1"));
        SampleSystem.Taken(await sample.RunToEndAsync("--fresh"), "store").ShouldBe(8);
        sample.Rows("out/labels.db", "SELECT id, substr(label, 1, 16), _mock FROM labels ORDER BY id").ShouldBe(rows);
    }

    [Fact]
    public async Task Enrich_GatewayDeployment_AsksTheModelThatUpServes()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        SampleSystem.Copy("enrich", Path.Combine(loom.Folder, "enrich"));
        // The folder's own project would look for its own gateway.
        File.Delete(Path.Combine(loom.Folder, "enrich", "loom.toml"));
        var (exit, output, error) = await RunningLoom.RunAsync(loom.Folder, ["harness", "run", "enrich", "--port", "0", "--json", "--deployment", "enrich/gateway.yaml"]);
        exit.ShouldBe(0, output + error);
        SampleSystem.Taken(JsonElement.Parse(output), "store").ShouldBe(8, output);
    }

    [Fact]
    public async Task RagIngest_EachChunkOnce_AndOnlyWhatIsNewIsReadAgain()
    {
        using var sample = new SampleSystem("rag_ingest");
        await sample.RunToEndAsync();
        const string Query = "SELECT path, part, title, length(embedding), substr(text, 1, 9) FROM chunks ORDER BY path, part";
        var rows = sample.Rows("out/index.db", Query);
        rows.Select(r => r.Replace('\n', '~')).ShouldBe(
        [
            "docs/loom.md|0|The loom|64|The loom~", "docs/loom.md|1|The loom|64|thread th",
            "docs/notice.txt|0|notice.txt|64|Looms are", "docs/shuttle.html|0|The shuttle|64|The shutt",
        ]);
        await File.WriteAllTextAsync(sample["docs/reed.md"], "# The reed\n\nIt beats the weft.\n");
        SampleSystem.Taken(await sample.RunToEndAsync(), "docs").ShouldBe(1);
        sample.Rows("out/index.db", Query).ShouldBe([.. rows.Take(3), "docs/reed.md|0|The reed|64|The reed\n", rows[3]]);
    }

    [Fact]
    public async Task TriageApi_AnswersKeepsAndDrains()
    {
        using var sample = new SampleSystem("triage_api");
        await using var run = Child.Start(sample.Folder, [RunningLoom.Program, "harness", "run", "--port", "0"], ("LLORCH_API_TOKEN", Token));
        using var client = new HttpClient { BaseAddress = await AddressAsync(run), Timeout = TimeSpan.FromSeconds(60) };
        (await PostAsync(client, "{\"text\":\"x\"}", null)).Status.ShouldBe(HttpStatusCode.Unauthorized);
        (HttpStatusCode Status, string Text) answer = default;
        // Requests are taken once all components are set up.
        await Deadline.Until(() => (answer = PostAsync(client, "{\"text\":\"the shop is down\"}", Token).GetAwaiter().GetResult()).Status != HttpStatusCode.ServiceUnavailable, "it answers");
        answer.ShouldBe((HttpStatusCode.OK, """{"label":"urgent","mock":true}"""));
        var refused = await PostAsync(client, "{\"words\":\"none\"}", Token);
        refused.Status.ShouldBe((HttpStatusCode)422);
        refused.Text.ShouldStartWith("""{"error":"data.text is missing""");
        (await RunningLoom.RunAsync(sample.Folder, ["harness", "drain"])).Exit.ShouldBe(0);
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
        File.ReadAllLines(sample["out/urgent.jsonl"]).ShouldBe(["""{"text":"the shop is down","label":{"label":"urgent"},"mock":true}"""]);
    }

    [Fact]
    public async Task ExitCodes_TellWhatIsWrong()
    {
        using var sample = new SampleSystem("log_stats");
        (await sample.RunAsync("run", "--port", "0", "--strict")).Exit.ShouldBe(4);

        var good = await File.ReadAllTextAsync(sample["architecture.yaml"]);
        await File.WriteAllTextAsync(sample["architecture.yaml"], good.Replace("size: 1m", "size: 2m"));
        var changed = await sample.RunAsync("run", "--port", "0");
        changed.Exit.ShouldBe(3);
        changed.Err.ShouldContain("architecture.yaml has changed");
        (await sample.RunAsync("run", "--port", "0", "--unlocked", "--fresh")).Exit.ShouldBe(0);
        File.ReadAllLines(sample["out/counts.jsonl"]).Length.ShouldBe(4);

        File.Delete(sample["build.lock"]);
        var unlocked = await sample.RunAsync("run", "--port", "0");
        unlocked.Exit.ShouldBe(3);
        unlocked.Err.ShouldContain("loom harness lock");

        await File.WriteAllTextAsync(sample["architecture.yaml"], good.Replace("to: fields.in", "to: field.in"));
        var wrong = await sample.RunAsync("run", "--port", "0");
        wrong.Exit.ShouldBe(2);
        wrong.Err.ShouldContain("did you mean \"fields\"");
    }

    [Fact]
    public async Task AfterAKill_TapEndsAndPsSaysThatNothingRuns()
    {
        using var sample = new SampleSystem("triage_api");
        Child tap;
        await using (var run = Child.Start(sample.Folder, [RunningLoom.Program, "harness", "run", "--port", "0"], ("LLORCH_API_TOKEN", Token)))
        {
            using var client = new HttpClient { BaseAddress = await AddressAsync(run), Timeout = TimeSpan.FromSeconds(60) };
            (await sample.RunAsync("ps")).Exit.ShouldBe(0, run.Output);
            // One that has shown an event is surely connected.
            tap = Child.Start(sample.Folder, [RunningLoom.Program, "harness", "tap", "sort.answer"]);
            await Deadline.Until(
                () =>
                {
                    PostAsync(client, "{\"text\":\"hello\"}", Token).GetAwaiter().GetResult();
                    return tap.Output.Contains("hello", StringComparison.Ordinal);
                },
                "the tap shows what passes");
            run.Signal(9);
            await run.Exited.WaitAsync(RunningLoom.Deadline);
        }

        await using (tap)
        {
            (await tap.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), tap.Output);
            tap.Output.ShouldContain("triage_api has ended");
        }

        var (exit, _, error) = await sample.RunAsync("ps");
        exit.ShouldBe(3);
        error.ShouldContain("no system runs in");
    }

    [Fact]
    public async Task New_FromASample_RunsUnderItsOwnName()
    {
        using var folder = new TempFolder();
        (await RunningLoom.RunAsync(folder.Path, ["harness", "new", "mine", "--from", "log_stats"])).Exit.ShouldBe(0);
        var (exit, output, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "run", "mine", "--port", "0", "--json"]);
        exit.ShouldBe(0, output + error);
        JsonElement.Parse(output).GetProperty("system").GetString().ShouldBe("mine");
        File.ReadAllLines(folder["mine/out/counts.jsonl"]).ShouldBe(s_counts);
    }

    private static async Task<Uri> AddressAsync(Child run)
    {
        await Deadline.Until(() => run.Exited.IsCompleted || run.Output.Contains(" (loom harness ps", StringComparison.Ordinal), "it listens", RunningLoom.Deadline);
        run.Exited.IsCompleted.ShouldBeFalse(run.Output);
        return new Uri(run.Output.Split("health and metrics: ")[1].Split(' ')[0]);
    }

    private static async Task<(HttpStatusCode Status, string Text)> PostAsync(HttpClient client, string body, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/triage") { Content = new StringContent(body) };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var answer = await client.SendAsync(request);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }
}
