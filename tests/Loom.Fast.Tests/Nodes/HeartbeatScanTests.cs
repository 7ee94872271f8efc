using System.Text;
using Loom.Control.Nodes;
using Loom.Core.Web;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

public sealed class HeartbeatScanTests
{
    private const string Pools = """[{"pool_id":"p","ready":true,"draining":false,"slots_free":3,"slots_total":4}]""";

    [Fact]
    public void Scan_OnlyTimeAndNumberDiffer_SameDigest()
    {
        var one = Scan($$"""{"timestamp":"2026-01-01T00:00:00Z","instance_id":"x","seq":1,"pools":{{Pools}}}""");
        var two = Scan($$"""{"seq":2,"pools":{{Pools}},"future":{"a":[1]},"instance_id":"x","timestamp":"2026-01-01T00:00:10Z"}""");

        two.Digest.ShouldBe(one.Digest);
        (one.Seq, two.Seq).ShouldBe((1, 2));
        two.InstanceId.ShouldBe("x");
        (two.Timestamp - one.Timestamp).ShouldBe(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public void Scan_SomethingElseDiffers_OtherDigest()
    {
        var one = Scan($$"""{"timestamp":"2026-01-01T00:00:00Z","pools":{{Pools}}}""").Digest;

        Scan("""{"timestamp":"2026-01-01T00:00:00Z","pools":[]}""").Digest.ShouldNotBe(one);
        Scan($$"""{"timestamp":"2026-01-01T00:00:00Z","pools":{{Pools}},"gpus":[]}""").Digest.ShouldNotBe(one);
        Scan($$"""{"timestamp":"2026-01-01T00:00:00Z","pools":{{Pools}},"draining":true}""").Digest.ShouldNotBe(one);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"timestamp":"yesterday","pools":[]}""")]
    [InlineData("""{"timestamp":7}""")]
    [InlineData("""{"pools":[]}""")]
    [InlineData("""{"timestamp":"2026-01-01T00:00:00Z","seq":"one"}""")]
    [InlineData("""{"timestamp":"2026-01-01T00:00:00Z","draining":3}""")]
    [InlineData("""{"timestamp":"2026-01-01T00:00:00Z","pools":[""")]
    public void Scan_NoHeartbeat_IsRefused(string body) => Should.Throw<ProblemException>(() => Scan(body)).Problem.HttpStatus.ShouldBe(400);

    private static HeartbeatScan Scan(string body) => HeartbeatScan.Of(Encoding.UTF8.GetBytes(body), "x");
}
