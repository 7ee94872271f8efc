using System.Security.Cryptography;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>Item 14 of the specification: alerts through webhooks, and a storm of errors.</summary>
public sealed class AlertTests
{
    [Fact]
    public async Task Alert_BacklogComesAndGoes_FiresAndResolvesOnceEachBySignedWebhook()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var system = await RunningSystem.StartAsync(
            $$"""
            schema_version: "1.0.0"
            system: { name: watched, version: 1.0.0 }
            components:
              - { name: web, type: APIEndpoint, uses: http_in, config: { route: /in } }
              - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings: [ { from: web.out, to: store.in } ]
            policy:
              security: { allow_hosts: [127.0.0.1] }
              observability:
                webhooks: [ { name: ops, url: "{{receiver.Address}}/alerts", secret: "${HOOK_SECRET}" } ]
                alerts:
                  - { name: backlog, expr: "stream_depth > 5", severity: critical, webhook: ops }
                  - { name: component_paused, enabled: false }
            """,
            environment: ("HOOK_SECRET", "a long secret of the hook"));
        (await system.AskAsync("/components/store/pause")).Status.ShouldBe(System.Net.HttpStatusCode.OK);
        for (var i = 0; i < 10; i++)
        {
            (await system.PostAsync("/in", $$"""{"n":{{i}}}""")).Status.ShouldBe(System.Net.HttpStatusCode.Accepted);
        }

        await Deadline.Until(() => !receiver.Taken.IsEmpty, "the alert is sent", RunningLoom.Deadline);
        var firing = (await system.GetAsync("/alerts")).GetProperty("alerts").EnumerateArray().Single(a => a.GetProperty("name").GetString() == "backlog");
        (firing.GetProperty("state").GetString(), firing.GetProperty("severity").GetString(), firing.GetProperty("fired").GetInt64()).ShouldBe(("firing", "critical", 1));
        var health = await system.GetAsync("/health");
        health.GetProperty("health").GetString().ShouldBe("degraded");
        health.GetProperty("alerts").EnumerateArray().Select(a => a.GetString()).ShouldBe(["backlog"]);
        (await system.TypeAsync("ps", ".")).Out.ShouldContain("alert backlog firing since");

        (await system.AskAsync("/components/store/resume")).Status.ShouldBe(System.Net.HttpStatusCode.OK);
        await Deadline.Until(() => receiver.Taken.Count == 2, "its end is sent", RunningLoom.Deadline);
        (await system.GetAsync("/health")).GetProperty("health").GetString().ShouldBe("healthy");
        (await system.DrainAsync()).ShouldBe(0, system.Err);

        receiver.Taken.Count.ShouldBe(2, "each once, also after the end");
        receiver.Taken.Select(t => JsonElement.Parse(t.Body).GetProperty("status").GetString()).ShouldBe(["firing", "resolved"]);
        foreach (var (body, headers) in receiver.Taken)
        {
            headers["X-Loom-Signature"].ShouldBe("sha256=" + Convert.ToHexStringLower(HMACSHA256.HashData("a long secret of the hook"u8, body)));
        }

        system.Err.ShouldNotContain("a long secret");
        foreach (var file in Directory.EnumerateFiles(system.Folder.Path, "*", SearchOption.AllDirectories))
        {
            (await File.ReadAllTextAsync(file)).ShouldNotContain("a long secret", Case.Sensitive, file);
        }
    }

    [Fact]
    public async Task Errors_AStormOfEqualOnes_EachALetterFewLogLinesOneSampleASecond()
    {
        var count = Drill.Count(10_000, 100_000);
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["architecture.yaml"], $$"""
            schema_version: "1.0.0"
            system: { name: storm, version: 1.0.0 }
            components:
              - { name: numbers, type: Source, uses: generate, config: { count: {{count}} } }
              - { name: check, type: Transformer, uses: filter, config: { condition: data.missing > 1 } }
              - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings: [ { from: numbers.out, to: check.in }, { from: check.out, to: store.in } ]
            """);
        var time = System.Diagnostics.Stopwatch.StartNew();

        var (exit, output, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "run", ".", "--unlocked", "--port", "0", "--json"]);

        exit.ShouldBe(0, error);
        JsonElement.Parse(output).GetProperty("components").EnumerateArray().Single(c => c.GetProperty("name").GetString() == "check").GetProperty("dead_lettered").GetInt64().ShouldBe(count);
        var letters = Directory.EnumerateFiles(folder[".loom/harness/storm/dead"], "*.jsonl").SelectMany(File.ReadLines);
        var (seen, samples) = (0, new HashSet<string>());
        foreach (var line in letters)
        {
            seen++;
            var at = line.IndexOf("\"sampled_at\":\"", StringComparison.Ordinal);
            samples.Add(line.Substring(at + 14, 19));
        }

        seen.ShouldBe(count);
        samples.Count.ShouldBeLessThanOrEqualTo((int)time.Elapsed.TotalSeconds + 2);
        var lines = error.Split('\n').Count(l => l.Length > 0);
        lines.ShouldBeLessThan(30 + ((int)time.Elapsed.TotalSeconds / 5), error);
        error.ShouldContain("more like it");
        Drill.Report("storm of equal errors", seen, count, $"{samples.Count} resource samples and {lines} log lines in {time.Elapsed.TotalSeconds:0.0} s");
    }
}
