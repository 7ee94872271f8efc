using System.Buffers;
using System.Text;
using Loom.Core.Gpus;
using Loom.Fast.Tests.Orchestration;
using Loom.Node.Provisioning;
using Loom.Node.Telemetry;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Telemetry;

public sealed class NodeMetricsTests
{
    [Fact]
    public async Task Report_ReplicasThatShareAStep_NoneOfThemFails()
    {
        await using var metrics = new NodeMetrics(new FakeSupervisor(), new FixedGpus(GpuSnapshot.None), new ManualTimeProvider());
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                metrics.Report(Step(StepStatus.Running));
                metrics.Report(Step(StepStatus.Completed));
            }
        })));

        var page = new ArrayBufferWriter<byte>();
        await metrics.WriteAsync(page, TestContext.Current.CancellationToken);
        Encoding.UTF8.GetString(page.WrittenSpan).ShouldContain("engine_provisioner_step_seconds_count");
    }

    private static ProvisionProgress Step(StepStatus status) => new() { Step = "fit", Kind = "pool_warmup", Group = "chat", Status = status, Phase = "check", Human = "check" };
}
