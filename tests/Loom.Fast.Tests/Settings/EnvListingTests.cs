using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class EnvListingTests
{
    [Theory]
    [InlineData("agent")]
    [InlineData("engine")]
    public void OfChild_EveryKind_HidesSecretsAndKeepsLoomsTokens(string kind)
    {
        var load = new TestLoad(LoomRegistry.Instance).Variable("SERVICE_KEY", "sk-hidden-1").Variable("LLORCH_API_TOKEN", new string('t', 40)).Variable("URL", "http://u:pass@host/")
            .Variable("PATH", "/usr/bin").EnvFile("FROM_FILE=1\n");
        var lines = EnvListing.OfChild(load.Load(), LoomRegistry.Instance, kind).ToDictionary(l => l.Name, StringComparer.Ordinal);
        lines.Keys.ShouldNotContain("LLORCH_API_TOKEN");
        lines["SERVICE_KEY"].Value.ShouldBe("[redacted:SERVICE_KEY]");
        lines["URL"].Value.ShouldBe("http://[redacted]@host/");
        lines["FROM_FILE"].Source!.Layer.ShouldBe(SettingLayer.EnvFile);
        lines["PATH"].Source!.Layer.ShouldBe(SettingLayer.Environment);
        lines["HF_HOME"].Source!.Layer.ShouldBe(SettingLayer.Derived);
        lines.ContainsKey("LOOM_AGENT_ID").ShouldBe(kind == "agent");
    }
}
