using System.Buffers;
using System.Text;
using Loom.Node.Telemetry;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Telemetry;

public sealed class EngineFamiliesTests
{
    private const string Page = """
        # HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
        # TYPE llamacpp:prompt_tokens_total counter
        llamacpp:prompt_tokens_total 12
        # TYPE vllm:ttft_seconds histogram
        vllm:ttft_seconds_bucket{le="0.1"} 1
        vllm:ttft_seconds_bucket{le="+Inf"} 2
        vllm:ttft_seconds_sum{} 0.5
        vllm:ttft_seconds_count 2
        """;

    [Fact]
    public void Write_TwoEngines_EachFamilyOnceWithLabelledSamples()
    {
        var text = Merged((Page, "pool=\"a\""), (Page, "pool=\"b\""));
        text.Split('\n').Count(l => l.StartsWith("# TYPE llamacpp:prompt_tokens_total", StringComparison.Ordinal)).ShouldBe(1);
        text.ShouldContain("llamacpp:prompt_tokens_total{pool=\"a\"} 12\nllamacpp:prompt_tokens_total{pool=\"b\"} 12\n");
        text.ShouldContain("vllm:ttft_seconds_bucket{pool=\"b\",le=\"+Inf\"} 2\n");
        text.ShouldContain("vllm:ttft_seconds_sum{pool=\"a\"} 0.5\n");
    }

    [Theory]
    [InlineData("orchd_requests_total 5")]
    [InlineData("pool_mgr_engine_up 1")]
    [InlineData("<html>not metrics</html>")]
    [InlineData("")]
    public void Write_NamesOfOursAndNoise_LeftOut(string line) => Merged((line, "pool=\"a\"")).ShouldBe("");

    [Fact]
    public void Write_EngineWithoutEnd_IsCutAtTheLimitOfAFamily()
    {
        var page = string.Join('\n', Enumerable.Range(0, 3000).Select(i => $"many{{n=\"{i}\"}} 1"));
        Merged((page, "pool=\"a\"")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(2000);
    }

    private static string Merged(params (string Page, string Labels)[] pages)
    {
        var families = new EngineFamilies();
        foreach (var (page, labels) in pages)
        {
            families.Add(page, labels);
        }

        var output = new ArrayBufferWriter<byte>();
        families.Write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
