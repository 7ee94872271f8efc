using Loom.Harness.Components.BuiltIns.Sources;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class GlobTests
{
    [Theory]
    [InlineData("*.md", "a.md", true)]
    [InlineData("*.md", "x/a.md", false)]
    [InlineData("**/*.md", "a.md", true)]
    [InlineData("**/*.md", "x/y/a.md", true)]
    [InlineData("docs/**", "docs/x/y", true)]
    [InlineData("docs/**/end", "docs/end", true)]
    [InlineData("docs/**/end", "docs/a/b/end", true)]
    [InlineData("docs/**/end", "docs/a/b/ends", false)]
    [InlineData("a?c", "abc", true)]
    [InlineData("a?c", "ac", false)]
    [InlineData("log-[0-9].txt", "log-7.txt", true)]
    [InlineData("log-[!0-9].txt", "log-7.txt", false)]
    [InlineData("*.{md,txt}", "a.txt", true)]
    [InlineData("*.{md,txt}", "a.rst", false)]
    [InlineData("{a,b/{c,d}}.x", "b/d.x", true)]
    [InlineData("*", ".hidden", false)]
    [InlineData(".*", ".hidden", true)]
    [InlineData("**/*", ".git/config", false)]
    [InlineData("a*b*c", "aXbYbZc", true)]
    [InlineData("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void Glob_Pattern_MatchesWhatItSays(string pattern, string path, bool matches) => Glob.Parse(pattern).Matches(path).ShouldBe(matches);

    [Theory]
    [InlineData("logs/*.log", "logs", "*.log")]
    [InlineData("*.log", ".", "*.log")]
    [InlineData("/var/**/x", "/var", "**/x")]
    [InlineData("/*.log", "/", "*.log")]
    [InlineData("a/b{1,2}/c", "a", "b{1,2}/c")]
    public void Glob_Split_PartsFolderAndPattern(string path, string folder, string pattern) => Glob.Split(path).ShouldBe((folder, pattern));

    [Theory]
    [InlineData("a[b")]
    [InlineData("{a,b")]
    public void Glob_NotClosed_IsRefused(string pattern) => Should.Throw<FormatException>(() => Glob.Parse(pattern));
}
