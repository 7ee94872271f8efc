using System.Runtime.InteropServices;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

public sealed class EmbeddingTests(DemoAdapter demo) : IClassFixture<DemoAdapter>
{
    [Fact(Timeout = 240_000)]
    public async Task Embeddings_Texts_HaveUnitLengthAndMeaning()
    {
        var (status, body) = await demo.Process.PostAsync("/v1/embeddings", new { input = new[] { "the weaver sat at the loom", "at the loom the weaver sat", "silver and salt" } });

        status.ShouldBe(200, body.ToJsonString());
        var vectors = body["data"]!.AsArray().Select(d => d!["embedding"]!.AsArray().Select(v => (float)v!).ToArray()).ToArray();
        vectors.Select(v => Dot(v, v)).ShouldAllBe(length => Math.Abs(length - 1) < 1e-5);
        Dot(vectors[0], vectors[1]).ShouldBeGreaterThan(0.99);
        Dot(vectors[0], vectors[2]).ShouldBeLessThan(0.5);
        ((int)body["usage"]!["prompt_tokens"]!).ShouldBe(7 + 7 + 4);
    }

    [Fact(Timeout = 240_000)]
    public async Task Embeddings_Base64_IsTheSameVector()
    {
        var (_, plain) = await demo.Process.PostAsync("/v1/embeddings", new { input = "the cloth" });
        var (_, coded) = await demo.Process.PostAsync("/v1/embeddings", new { input = "the cloth", encoding_format = "base64" });

        var decoded = MemoryMarshal.Cast<byte, float>(Convert.FromBase64String((string)coded["data"]![0]!["embedding"]!)).ToArray();
        decoded.ShouldBe(plain["data"]![0]!["embedding"]!.AsArray().Select(v => (float)v!));
    }

    [Fact(Timeout = 240_000)]
    public async Task Embeddings_TokenIds_AreTaken()
    {
        var (status, body) = await demo.Process.PostAsync("/v1/embeddings", new { input = new[] { new[] { 100, 101 }, new[] { 102 } } });

        status.ShouldBe(200, body.ToJsonString());
        body["data"]!.AsArray().Count.ShouldBe(2);
    }

    [Fact(Timeout = 240_000)]
    public async Task Embeddings_TooLong_AreRefused()
    {
        var (status, body) = await demo.Process.PostAsync("/v1/embeddings", new { input = string.Concat(Enumerable.Repeat("the ", 3000)) });

        status.ShouldBe(400);
        ((string)body["error"]!["code"]!).ShouldBe("context_length_exceeded");
    }

    private static double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
}
