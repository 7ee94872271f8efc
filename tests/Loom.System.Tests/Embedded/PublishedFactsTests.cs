using System.Text.Json.Nodes;
using Loom.Node.Demo;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

public sealed class PublishedFactsTests
{
    [Fact]
    public void DemoModelPage_ChecksumAndLength_AreTheRealOnes()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "demo-model.md"));

        page.ShouldContain($"`{DemoModel.Sha256}`");
        page.ShouldContain(FormattableString.Invariant($"{DemoModel.Bytes:N0} bytes"));
    }

    [Fact]
    public void LockFile_EveryInstalledPackage_IsHashedAndFromNoFixedPlace()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "engines", "embedded", "package-lock.json"));
        text.ShouldNotContain("\"resolved\"");
        foreach (var (name, package) in JsonNode.Parse(text)!["packages"]!.AsObject().Where(p => p.Key != ""))
        {
            (package!["integrity"] is not null || (bool?)package["optional"] == true).ShouldBeTrue($"{name} has no integrity hash");
        }
    }
}
