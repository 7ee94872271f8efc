using System.Text;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>Schema and loader agree: what an editor accepts loads, what it underlines is refused.</summary>
public sealed class SchemaTests
{
    private static readonly SchemaCheck s_schema = new(SchemaDocument.Write(LoomRegistry.Instance));

    [Fact]
    public void Samples_AreValid()
    {
        var samples = Directory.GetFiles(Path.Combine(Repository.Root, "samples"), "loom.toml", SearchOption.AllDirectories);
        samples.Length.ShouldBeGreaterThan(1);
        foreach (var sample in samples)
        {
            s_schema.Faults(File.ReadAllBytes(sample)).ShouldBeEmpty(sample);
        }
    }

    [Theory]
    [InlineData("[agents.a]\nrestart = \"always\"")]
    [InlineData("[agents.a]\nrestart = { policy = \"never\", backoff = \"1s..2s\", max = 3 }")]
    [InlineData("[agents.a]\ndepends_on = [\"b\", \"pools.c\"]")]
    [InlineData("[agents.a]\ndepends_on = { b = \"started\" }")]
    [InlineData("[agents.a]\nwatch = true")]
    [InlineData("[agents.a]\nwatch = { paths = [\"src\"], debounce = \"1s\" }")]
    [InlineData("[agents.a]\ninherit_env = false")]
    [InlineData("[agents.a]\ninherit_env = [\"PATH\"]")]
    [InlineData("[agents.a]\ncommand = \"echo $HOME\"\nshell = true")]
    [InlineData("[agents.a]\nconfig = { a = 1, b = [true, { c = 1.5 }], d = 2026-01-01 }")]
    [InlineData("[agents.a]\nready = { http = \"http://127.0.0.1:${port.http}/\", status = [200, 204] }\nports = { http = 0 }")]
    [InlineData("[agents.a]\nready.tcp = \"127.0.0.1:${port.x}\"\nports = { x = \"${X:-0}\" }")]
    [InlineData("[agents.a]\nllm_provider = \"b\"\n[llm.b]\napi_base = \"http://h/v1\"\nextra = { top_k = 5 }")]
    [InlineData("[agents.a]\nenabled = \"${ON:-yes}\"\nlimits = { memory = \"1GB\", cpu = 0.5 }")]
    [InlineData("[bridge]\nmode = \"bridge-only\"\nversion = \"0.1.0\"\naddress = \"localhost:50051\"")]
    [InlineData("[mcp.a]\ncommand = \"npx\"\nargs = [\"-y\", \"x\"]\nenv = { K = \"${K:-}\" }")]
    public void GoodFiles_AreValidAndLoad(string toml)
    {
        s_schema.Faults(Encoding.UTF8.GetBytes(toml)).ShouldBeEmpty();
        Errors(toml).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("[agents.a]\nrestart = \"sometimes\"")]
    [InlineData("[agents.a]\nrestart = true")]
    [InlineData("[agents.a]\ndepends_on = [1]")]
    [InlineData("[agents.a]\ndepends_on = { b = \"done\" }")]
    [InlineData("[agents.a]\nwatch = 1")]
    [InlineData("[agents.a]\nwatch = { path = [\"src\"] }")]
    [InlineData("[agents.a]\ninherit_env = 1")]
    [InlineData("[agents.a]\ncommand = 1")]
    [InlineData("[agents.a]\nready = { http = \"ftp://h/\" }")]
    [InlineData("[agents.a]\nready = { bridge = true }")]
    [InlineData("[agents.a]\nreplicas = 300")]
    [InlineData("[agents.a]\nstop = { signal = \"KILL\" }")]
    [InlineData("[agents.a]\nports = { http = 70000 }")]
    [InlineData("[agents.a]\nlimits = { nice = 20 }")]
    [InlineData("[agent.a]\ncommand = [\"x\"]")]
    [InlineData("[dashboard]\nport = \"three thousand\"")]
    [InlineData("[dashboard]\nenabled = \"maybe\"")]
    [InlineData("[mcp.a]\ncommand = [\"npx\"]")]
    [InlineData("[tools.fs]\nread = true")]
    [InlineData("[runtime]\ncgroup = \"always\"")]
    public void BadFiles_AreRefusedByBoth(string toml)
    {
        s_schema.Faults(Encoding.UTF8.GetBytes(toml)).ShouldNotBeEmpty();
        Errors(toml).ShouldNotBeEmpty();
    }

    // Types, names and ranges alone: rules know more than a schema can.
    private static IEnumerable<string> Errors(string toml) =>
        SettingsLoader.Load(new TestLoad(LoomRegistry.Instance).Toml(toml).Request() with { CrossRules = [] }).Faults
            .Where(f => f.Severity == FaultSeverity.Error).Select(f => $"{f.Key}: {f.Message}");
}
