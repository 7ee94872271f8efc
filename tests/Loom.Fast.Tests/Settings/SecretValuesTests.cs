using System.Text;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class SecretValuesTests
{
    private const string Toml = """
        [serving.engines.remote]
        kind = "command"
        command = ["serve", "--api-key", "${MY_API_KEY}", "--pin=${DOOR_PASSWORD}"]
        env = { HF_TOKEN = "hf-in-the-file", MODE = "production" }
        [llm.a]
        api_key = "llm-a-secret"
        [llm.b]
        api_key = "llm-b-secret"
        """;

    private const string EnvFile = "MY_API_KEY=sk-\"zqinner\\\\key\nDOOR_PASSWORD=4711\nPLAIN_WORD=production\nLLORCH_API_TOKEN=0123456789abcdef0123456789abcdef\n";

    [Fact]
    public void From_SettingsAndVariables_AreFoundByName()
    {
        var found = SecretValues.From(Load().Snapshot);
        found["DOOR_PASSWORD"].ShouldBe("4711");
        found["LLORCH_API_TOKEN"].ShouldBe("0123456789abcdef0123456789abcdef");
        found.Values.ShouldContain("hf-in-the-file");
        found.Values.ShouldContain("llm-a-secret");
        found.Values.ShouldContain("llm-b-secret");
        found.Values.ShouldNotContain("production");
    }

    [Fact]
    public void With_VariableOfTheChild_IsAddedBesideOneOfTheSameName()
    {
        var known = SecretValues.From(Load().Snapshot);
        var all = SecretValues.With(known, "engine-a", known.Clear().Add("DOOR_PASSWORD", "another one").Add("MODE", "production"));
        all["DOOR_PASSWORD"].ShouldBe("4711");
        all["engine-a.DOOR_PASSWORD"].ShouldBe("another one");
        all.ShouldNotContainKey("MODE");
    }

    [Fact]
    public void Mask_LongestFirst_AndShortOnesStay()
    {
        var mask = new SecretMask([new("A", "secret-1"), new("B", "secret-1-and-more"), new("C", "short")]);
        mask.Apply("x secret-1-and-more secret-1 short").ShouldBe("x [redacted:B] [redacted:A] short");
    }

    [Fact]
    public void Shown_ValuesFromSecretReferences_AreRedactedElementByElement()
    {
        var result = Load();
        result.Ok.ShouldBeTrue(FaultText.Write(result, starting: true));
        var shown = ShownSetting.All(result.Snapshot, SpecRows.Registry).ToList();
        var all = new StringBuilder(ShowText.Write(result.Snapshot, shown)).Append(ConfigJson.Show(result.Snapshot, shown));
        var command = shown.Single(s => s.Key == "serving.engines.remote.command");
        all.Append(ExplainText.Write(result, command)).Append(ConfigJson.Explain(result, command));
        all.ToString().ShouldContain("[redacted:MY_API_KEY]");
        all.ToString().ShouldContain("--pin=[redacted:DOOR_PASSWORD]");
        all.ToString().Split('\n').Where(l => l.Contains("zqinner", StringComparison.Ordinal) || l.Contains("4711", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    private static LoadResult Load() => new TestLoad(SpecRows.Registry).Toml(Toml).EnvFile(EnvFile).Load();
}
