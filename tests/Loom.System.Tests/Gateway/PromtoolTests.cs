using System.Diagnostics;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>Prometheus' own tool judges our metrics.</summary>
public sealed class PromtoolTests
{
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Token = """{"choices":[{"index":0,"delta":{"content":"a"}}]}""";

    [Fact]
    public async Task Metrics_AfterTraffic_PromtoolHasNothingToSay()
    {
        var promtool = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, "promtool")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(promtool is null, "promtool is not in PATH; ./test unpacks it");
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        await TrafficAsync(harness);

        // A request is counted after its last byte has gone out.
        foreach (var family in new[] { "orchd_requests_total", "orchd_request_duration_seconds_bucket", "orchd_tasks_rejected_total", "orchd_tasks_canceled_total", "orchd_model_state" })
        {
            await harness.UntilMetricAsync(family + "{");
        }

        var (status, said) = await CheckAsync(promtool!, await harness.MetricsAsync());

        said.ShouldBe("");
        status.ShouldBe(0);
    }

    private static async Task TrafficAsync(GatewayHarness harness)
    {
        (await harness.ChatAsync(Whole)).Dispose();
        (await harness.ChatAsync("no json")).Dispose();
        harness.Engines[0].Answer = harness.Engines[1].Answer = e => e.JsonAsync("{}", 500);
        (await harness.ChatAsync(Whole)).Dispose();
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engines[0].Answer = harness.Engines[1].Answer = async e =>
        {
            await e.EventAsync(Token);
            await e.EventAsync(Token);
            reached.TrySetResult();
            await e.Aborted;
        };
        using (var client = await harness.RawAsync())
        {
            await client.PostAsync("/v1/chat/completions", Stream);
            await reached.Task.WaitAsync(GatewayHarness.Deadline);
            await client.ReadUntilAsync(Token);
        }

        await harness.UntilMetricAsync("orchd_cancel_seconds_count");
        harness.Publish(s => s with { State = ReplicaState.Failed });
        (await harness.ChatAsync(Whole)).Dispose();
    }

    private static async Task<(int Status, string Said)> CheckAsync(string promtool, string text)
    {
        var start = new ProcessStartInfo(promtool, ["check", "metrics"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(GatewayHarness.Deadline);
        var said = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var complained = process.StandardError.ReadToEndAsync(deadline.Token);
        await process.StandardInput.WriteAsync(text);
        process.StandardInput.Close();
        await process.WaitForExitAsync(deadline.Token);
        return (process.ExitCode, await said + await complained);
    }
}
