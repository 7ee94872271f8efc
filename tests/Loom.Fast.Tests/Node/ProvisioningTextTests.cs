using System.Collections.Immutable;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class ProvisioningTextTests
{
    private static readonly string s_hash = new('a', 64);

    [Theory]
    [InlineData("demo", "demo")]
    [InlineData("file:models/a.gguf", "a")]
    [InlineData("file:///models/a.GGUF", "a")]
    [InlineData("https://example.com/x/m.gguf?download=1", "m")]
    [InlineData("hf:org/repo/sub/q4.gguf", "q4")]
    [InlineData("https://example.com/x/m%20n.gguf/#part", "m n")]
    [InlineData("file:models/a%20b.gguf", "a%20b")]
    [InlineData("file:models/what?.gguf", "what?")]
    [InlineData("hf:org/repo/a%20b.gguf", "a%20b")]
    public void Parse_Reference_HasTheIdThatPoolsShow(string text, string id)
    {
        Parse(text).Id.ShouldBe(id);
        ModelReference.IdFor(text).ShouldBe(id);
    }

    [Fact]
    public void Parse_HubReference_LeadsToTheHubAndAFolderOfItsOwn()
    {
        var remote = Parse($"hf:org/repo/sub/q 4.gguf#sha256={s_hash.ToUpperInvariant()}").ShouldBeOfType<ModelReference.Remote>();
        remote.Url.AbsoluteUri.ShouldBe("https://hub.example/org/repo/resolve/main/sub/q%204.gguf");
        remote.Place.ShouldBe("org/repo/sub/q 4.gguf");
        remote.Sha256.ShouldBe(s_hash);
    }

    [Fact]
    public void Parse_Address_KeepsItsQueryAndLiesBelowItsHost()
    {
        var remote = Parse("https://example.com:8443/a/m.gguf?x=1").ShouldBeOfType<ModelReference.Remote>();
        remote.Url.OriginalString.ShouldBe("https://example.com:8443/a/m.gguf?x=1");
        remote.Place.ShouldBe("example.com_8443/a/m.gguf");
    }

    [Fact]
    public void Parse_FileReference_IsRelativeToTheProject() =>
        Parse("file:m/a.gguf").ShouldBeOfType<ModelReference.LocalFile>().Path.ShouldBe("/project/m/a.gguf");

    [Fact]
    public void Parse_CatalogId_TakesSourceAndChecksumOfItsEntry()
    {
        var catalog = ImmutableDictionary<string, ModelPlan>.Empty.Add("coder", new ModelPlan("coder", "https://example.com/m.gguf") { Sha256 = s_hash });
        var reference = ModelReference.Parse("coder", catalog, "/project", new Uri("https://hub.example"));
        (reference.Id, reference.Sha256).ShouldBe(("coder", s_hash));
    }

    [Theory]
    [InlineData("hf:org/file.gguf", ProvisionExit.Configuration)]
    [InlineData("hf:org/../etc/passwd", ProvisionExit.Configuration)]
    [InlineData("hf:org/repo/.hidden", ProvisionExit.Configuration)]
    [InlineData("https://example.com/", ProvisionExit.Configuration)]
    [InlineData("https://example.com/a/%2e%2e/%2e%2e%2fb", ProvisionExit.Configuration)]
    [InlineData("https://example.com/m.gguf#sha256=abc", ProvisionExit.Configuration)]
    [InlineData("nobody", ProvisionExit.NotFound)]
    [InlineData("ftp://example.com/m.gguf", ProvisionExit.NotFound)]
    public void Parse_Nonsense_IsRefused(string text, ProvisionExit exit) => Should.Throw<ProvisionException>(() => Parse(text)).Exit.ShouldBe(exit);

    [Fact]
    public void Progress_Json_HasTheDocumentedFields()
    {
        var progress = new ProvisionProgress { Step = "model:demo", Kind = "model_fetch", Group = "chat", Status = StepStatus.Running, BytesDone = 1,
            BytesTotal = 4, Phase = "download", Human = "1 of 4" };
        progress.ToJson().ShouldBe("""{"step":"model:demo","kind":"model_fetch","group":"chat","status":"running","bytes_done":1,"bytes_total":4,"pct":25,"phase":"download","human":"1 of 4"}""");
    }

    [Fact]
    public void FreeMemory_CgroupLimit_IsWhatItLeaves()
    {
        var files = new Dictionary<string, string>
        {
            ["/proc/meminfo"] = "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n",
            ["/proc/self/cgroup"] = "0::/box/inner\n",
            ["/sys/fs/cgroup/box/memory.max"] = "2000000\n",
            ["/sys/fs/cgroup/box/memory.current"] = "1500000\n",
            ["/sys/fs/cgroup/box/memory.stat"] = "anon 1\ninactive_file 100000\n",
            ["/sys/fs/cgroup/box/inner/memory.max"] = "max\n",
        };
        FreeMemory.Probe(files.GetValueOrDefault).ShouldBe(600_000);
        FreeMemory.Probe(new Dictionary<string, string> { ["/proc/meminfo"] = "MemAvailable:    8000 kB\n" }.GetValueOrDefault).ShouldBe(8_192_000);
        FreeMemory.Probe(_ => null).ShouldBe(long.MaxValue);
    }

    [Fact]
    public void Fit_TooLarge_SaysWhatNeedsHowMuchAndWhatToDo()
    {
        new ModelFit(1L << 30, 1L << 30).Trouble("m", "chat", 4096, 4, 4L << 30).ShouldBeNull();
        new ModelFit(1L << 30, 1L << 30).Trouble("m", "chat", 4096, 4, 2L << 30)
            .ShouldBe("model 'm' needs 2.5 GiB (1 GiB of weights, 1 GiB for 4 x 4096 tokens, 512 MiB for the engine), 2 GiB are free; lower ctx or slots "
                + "of [serving.pools.chat], choose a smaller model, or free memory");
    }

    [Theory]
    [InlineData("v20.20.2", 20)]
    [InlineData("v8.1", 8)]
    [InlineData("20.1.0", 0)]
    [InlineData(null, 0)]
    public void NodeVersion_Text_GivesItsMajor(string? text, int major) => NodeRuntime.Major(text).ShouldBe(major);

    private static ModelReference Parse(string text) => ModelReference.Parse(text, [], "/project", new Uri("https://hub.example/"));
}
