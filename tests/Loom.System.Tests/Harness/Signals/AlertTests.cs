using System.Security.Cryptography;
using System.Text.Json;
using Loom.Harness.Alerts;
using Loom.Harness.Architecture;
using Loom.Harness.Telemetry;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>Item 14 of the specification: alerts through webhooks.</summary>
public sealed class AlertTests
{
    private const string Watched = """
        schema_version: "1.0.0"
        system: { name: watched, version: 1.0.0 }
        components:
          - { name: web, type: APIEndpoint, uses: http_in, config: { route: /in } }
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
        bindings: [ { from: web.out, to: store.in } ]

        """;

    [Fact]
    public async Task Alert_BacklogComesAndGoes_FiresAndResolvesOnceEachBySignedWebhook()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var system = await RunningSystem.StartAsync(
            Watched + $$"""
            policy:
              security: { allow_hosts: [127.0.0.1] }
              observability:
                webhooks: [ { name: ops, url: "{{receiver.Address}}/alerts", secret: "${HOOK_SECRET}" } ]
                alerts:
                  - { name: backlog, expr: "stream_depth > 5", keep_firing_for: 0s, severity: critical, webhook: ops }
                  - { name: component_paused, enabled: false }
            """,
            environment: ("HOOK_SECRET", "a long secret of the hook"));
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/components/web")).GetProperty("state").GetString() == "running", "the endpoint runs");
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
        health.GetProperty("alerts").EnumerateArray().Select(a => a.GetString()).ShouldContain("backlog");
        (await system.TypeAsync("ps", ".")).Out.ShouldContain("alert backlog firing since");

        (await system.AskAsync("/components/store/resume")).Status.ShouldBe(System.Net.HttpStatusCode.OK);
        await Deadline.Until(() => receiver.Taken.Count == 2, "its end is sent", RunningLoom.Deadline);
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/health")).GetProperty("health").GetString() == "healthy", "it is well again");
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

    [Theory]
    [InlineData(false, 0, "firing", "resolved")]
    [InlineData(true, 5, "firing")]
    public async Task Alert_FiresWhenTheSystemEnds_IsOverOnlyAfterAnOrderlyEnd(bool stuck, int exit, params string[] told)
    {
        await using var receiver = await Receiver.StartAsync();
        await using var system = await RunningSystem.StartAsync(
            Watched + $$"""
            policy:
              lifecycle: { drain_timeout_s: 1 }
              security: { allow_hosts: [127.0.0.1] }
              observability:
                webhooks: [ { name: ops, url: "{{receiver.Address}}/alerts" } ]
                alerts:
                  - { name: always, expr: "memory_bytes > 0", webhook: ops }
                  - { name: component_paused, enabled: false }
            """);
        if (stuck)
        {
            await RunningSystem.UntilAsync(async () => (await system.GetAsync("/components/web")).GetProperty("state").GetString() == "running", "the endpoint runs");
            (await system.AskAsync("/components/store/pause")).Status.ShouldBe(System.Net.HttpStatusCode.OK);
            (await system.PostAsync("/in", "{}")).Status.ShouldBe(System.Net.HttpStatusCode.Accepted);
        }

        await Deadline.Until(() => !receiver.Taken.IsEmpty, "the alert is sent", RunningLoom.Deadline);

        (await system.DrainAsync()).ShouldBe(exit, system.Err);

        var sent = receiver.Taken.Select(t => JsonElement.Parse(t.Body)).Where(m => m.GetProperty("alert").GetString() == "always").ToList();
        sent.Select(m => m.GetProperty("status").GetString()).ShouldBe(told);
        sent.Where(m => m.GetProperty("status").GetString() == "resolved").ShouldAllBe(m => m.GetProperty("reason").GetString() == "the system drained");
        if (!stuck)
        {
            return;
        }

        // Mended: the next run does not tell of it again, and tells its end.
        await system.LaunchAsync();
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/alerts")).GetProperty("alerts").EnumerateArray().Any(a => a.GetProperty("name").GetString() == "always" && a.GetProperty("state").GetString() == "firing"), "it fires");
        (await system.DrainAsync()).ShouldBe(0, system.Err);
        receiver.Taken.Select(t => JsonElement.Parse(t.Body)).Where(m => m.GetProperty("alert").GetString() == "always").Select(m => m.GetProperty("status").GetString()).ShouldBe(["firing", "resolved"]);
        File.Exists(system.Folder[".loom/harness/watched/alerts.json"]).ShouldBeFalse();
    }

    [Fact]
    public async Task Alert_NobodyTookItsBeginning_NextRunTellsItAndTheEndOfOneThatIsGone()
    {
        await using var receiver = await Receiver.StartAsync();
        List<JsonElement> Told() => [.. receiver.Taken.Select(t => JsonElement.Parse(t.Body)).Where(m => m.GetProperty("alert").GetString() is "always" or "ever")];
        receiver.Status = 500;
        await using var system = await RunningSystem.StartAsync(
            Watched + $$"""
            policy:
              security: { allow_hosts: [127.0.0.1] }
              observability:
                webhooks: [ { name: ops, url: "{{receiver.Address}}/alerts" } ]
                alerts:
                  - { name: always, expr: "memory_bytes > 0", severity: critical }
            """);
        var kept = system.Folder[".loom/harness/watched/alerts.json"];
        await Deadline.Until(() => Told().Count > 0, "an attempt is made", RunningLoom.Deadline);
        await system.KillAsync();
        File.Exists(kept).ShouldBeFalse("nobody was told");

        receiver.Taken.Clear();
        receiver.Status = 200;
        await system.LaunchAsync();
        await Deadline.Until(() => File.Exists(kept), "its beginning is taken", RunningLoom.Deadline);
        Told().ShouldHaveSingleItem().GetProperty("status").GetString().ShouldBe("firing");
        await system.KillAsync();

        receiver.Taken.Clear();
        var architecture = system.Folder["architecture.yaml"];
        await File.WriteAllTextAsync(architecture, (await File.ReadAllTextAsync(architecture)).Replace("name: always", "name: ever", StringComparison.Ordinal));
        await system.LaunchAsync();
        await Deadline.Until(() => Told().Count == 2, "both are told", RunningLoom.Deadline);
        Told().Select(m => (m.GetProperty("alert").GetString(), m.GetProperty("status").GetString())).ShouldBe([("always", "resolved"), ("ever", "firing")]);
        var end = Told()[0];
        (end.GetProperty("reason").GetString(), end.GetProperty("severity").GetString(), end.GetProperty("expr").GetString()).ShouldBe(("no longer an alert", "critical", "memory_bytes > 0"));
        (await system.DrainAsync()).ShouldBe(0, system.Err);
        Told().Count.ShouldBe(3);
        File.Exists(kept).ShouldBeFalse();
    }

    [Fact]
    public async Task Guide_AlertsAndMetricsOfThePage_AreAsWritten()
    {
        var page = (await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "harness.md"))).Split("## Watch over it")[1].Split("## Send again")[0];
        await using var system = await RunningSystem.StartAsync(
            Watched + page.Split("```yaml\n")[1].Split("```")[0]);

        var alerts = (await system.GetAsync("/alerts")).GetProperty("alerts").EnumerateArray().ToDictionary(a => a.GetProperty("name").GetString()!, a => a.GetProperty("severity").GetString());
        alerts.Keys.ShouldContain("backlog");
        alerts.Keys.ShouldNotContain("cpu");
        foreach (var name in BuiltInAlerts.For(new PolicyPlan()).Select(a => a.Name))
        {
            page.ShouldContain($"`{name}`");
        }

        foreach (var name in SystemMetrics.All.Select(m => m.Name).Concat(DistributionMetric.Names))
        {
            page.ShouldContain($"`{name}`");
        }

        (await system.DrainAsync()).ShouldBe(0, system.Err);
    }
}
