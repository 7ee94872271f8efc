using System.Text.RegularExpressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness;

/// <summary>The page that says which tests show what names tests that are there.</summary>
public sealed partial class ProofPageTests
{
    [Fact]
    public void Page_EveryClassItNames_IsATest()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "harness-proof.md"));
        var named = Name().Matches(page).Select(m => m.Groups[1].Value).Distinct().ToList();
        named.Count.ShouldBeGreaterThan(30);
        var files = Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests"), "*.cs", SearchOption.AllDirectories).Select(f => Path.GetFileNameWithoutExtension(f)).ToHashSet(StringComparer.Ordinal);
        named.ShouldAllBe(n => files.Contains(n));
    }

    [GeneratedRegex("`([A-Za-z]+(?:Tests|Drills|Suite))`")]
    private static partial Regex Name();
}
