using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Samples;

/// <summary>The samples that need a model, with the real llama.cpp engine and the demo model that <c>loom up</c> serves: what is stored are words and vectors of a model, and no mock had a hand in them.</summary>
public sealed class RealEngineTests
{
    [Fact]
    public async Task EnrichAndRagIngest_RealEngine_StoreWordsAndVectorsOfAModel()
    {
        const string Toml = """
            name = "real"
            [serving.pools.default]
            engine = "embedded"
            models = ["demo"]
            slots = 2
            [serving.engines.embedded]
            kind = "embedded"
            threads = 1
            """;
        await using var loom = await RunningLoom.UpAsync(Toml, ("ENGINE_PROVISIONER_CACHE_DIR", Path.Combine(Repository.Root, "artifacts", "test-cache")));

        var enrich = await RunAsync(loom, "enrich");
        SampleSystem.Taken(enrich, "store").ShouldBe(8);
        var labels = Rows(loom, "enrich/out/labels.db", "SELECT label, _mock FROM labels ORDER BY id");
        labels.Count.ShouldBe(8);
        labels.ShouldAllBe(l => l.EndsWith("|0", StringComparison.Ordinal) && l.Length > 3 && !l.Contains("MOCK", StringComparison.Ordinal));

        var rag = await RunAsync(loom, "rag_ingest");
        SampleSystem.Taken(rag, "store").ShouldBe(4);
        var vectors = Rows(loom, "rag_ingest/out/index.db", "SELECT length(embedding), hex(substr(embedding, 1, 16)), _mock FROM chunks ORDER BY path, part");
        vectors.Count.ShouldBe(4);
        vectors.ShouldAllBe(v => v.EndsWith("|0", StringComparison.Ordinal));
        vectors.Select(v => v.Split('|')[0]).Distinct().Count().ShouldBe(1, "all of one length");
        vectors.Select(v => v.Split('|')[1]).Distinct().Count().ShouldBe(4, "different texts, different vectors");
    }

    private static async Task<JsonElement> RunAsync(RunningLoom loom, string sample)
    {
        var folder = Path.Combine(loom.Folder, sample);
        SampleSystem.Copy(sample, folder);
        // The folder's own project would look for its own gateway.
        File.Delete(Path.Combine(folder, "loom.toml"));
        var (exit, output, error) = await RunningLoom.RunAsync(loom.Folder, ["harness", "run", sample, "--port", "0", "--json", "--strict", "--deployment", $"{sample}/gateway.yaml"]);
        exit.ShouldBe(0, output + error);
        return JsonElement.Parse(output);
    }

    private static List<string> Rows(RunningLoom loom, string database, string query) => SampleSystem.RowsOf(Path.Combine(loom.Folder, database), query);
}
