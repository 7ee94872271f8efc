using System.Runtime.InteropServices;
using Loom.Core.Binaries;
using Loom.Runtime;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Binaries;

public sealed class BinaryNamesTests
{
    [Theory]
    [InlineData(Architecture.X64, "linux-x64", "linux-x86_64")]
    [InlineData(Architecture.Arm64, "debian.12-arm64", "linux-aarch64")]
    [InlineData(Architecture.X64, "linux-musl-x64", "linux-x86_64-musl")]
    [InlineData(Architecture.Arm64, "alpine.3.22-arm64", "linux-aarch64-musl")]
    [InlineData(Architecture.X64, "osx-x64", "macos-x86_64")]
    [InlineData(Architecture.Arm64, "osx.15-arm64", "macos-aarch64")]
    [InlineData(Architecture.X64, "win-x64", "windows-x86_64")]
    public void Platform_OfEverySystem_IsSpeltAsReleasesDo(Architecture architecture, string runtime, string platform) =>
        BinaryNames.PlatformOf(architecture, runtime).ShouldBe(platform);

    [Theory]
    [InlineData("loom-bridge", "0.1.0")]
    [InlineData("loom", "v0.1.0-alpha.1")]
    [InlineData("tool-v", "b5000")]
    [InlineData("a.b_c", "1.2+build")]
    public void Artifact_NameAndVersion_AreReadBack(string name, string version)
    {
        var artifact = BinaryNames.Artifact(name, version);
        BinaryNames.TryRead(artifact, out var readName, out var readVersion).ShouldBeTrue();
        (readName, readVersion).ShouldBe((name, BinaryNames.Plain(version)));
        artifact.ShouldBe($"{name}-v{BinaryNames.Plain(version)}-{BinaryNames.Platform}");
    }

    [Theory]
    [InlineData("../loom", "1.0")]
    [InlineData("", "1.0")]
    [InlineData(".loom", "1.0")]
    [InlineData("a/b", "1.0")]
    [InlineData("loom", "latest")]
    [InlineData("loom", "../1.0")]
    [InlineData("loom", "")]
    [InlineData("loom", "1.0/2")]
    public void Artifact_WhatCannotStandInAFileName_IsRefused(string name, string version) => Should.Throw<ArgumentException>(() => BinaryNames.Artifact(name, version));

    [Theory]
    [InlineData("checksums.txt")]
    [InlineData("loom-v1.0-windows-x86_64")]
    [InlineData("loom-v1.0")]
    [InlineData("loom-latest-linux-x86_64")]
    public void TryRead_OtherFiles_AreNoArtifacts(string file) => BinaryNames.TryRead(file, out _, out _).ShouldBeFalse();

    [Theory]
    [InlineData("1.9", "1.10", -1)]
    [InlineData("b999", "b5000", -1)]
    [InlineData("1.2", "1.2", 0)]
    [InlineData("2.0", "1.99", 1)]
    [InlineData("1.0-rc.1", "1.0", -1)]
    [InlineData("1.0-rc.2", "1.0-rc.10", -1)]
    [InlineData("1.0.1-rc.1", "1.0", 1)]
    [InlineData("1.0+a", "1.0+b", 0)]
    public void VersionOrder_Versions_NewerIsGreater(string a, string b, int sign)
    {
        Math.Sign(BinaryNames.VersionOrder.Compare(a, b)).ShouldBe(sign);
        Math.Sign(BinaryNames.VersionOrder.Compare(b, a)).ShouldBe(-sign);
    }

    [Fact]
    public void CacheFolder_Variables_DecideAsTheStandardSays()
    {
        Of(("XDG_CACHE_HOME", "/custom/cache"), ("HOME", "/home/ann")).ShouldBe("/custom/cache/loom/bin");
        Of(("XDG_CACHE_HOME", "relative"), ("HOME", "/home/ann")).ShouldBe("/home/ann/.cache/loom/bin");
        Of(("XDG_CACHE_HOME", ""), ("HOME", "/home/ann")).ShouldBe("/home/ann/.cache/loom/bin");

        static string Of(params (string Name, string Value)[] variables) =>
            BinaryNames.CacheFolder(name => variables.FirstOrDefault(v => v.Name == name).Value);
    }

    [Fact]
    public void ReadChecksums_LinesOfSha256sum_AreRead()
    {
        var (a, b) = (new string('a', 64), new string('B', 64));
        var sums = BinaryNames.ReadChecksums($"# a comment\n{a}  tool\n{b} *./dir/other name\r\nshort  x\n{a}\n{new string('g', 64)}  y\n");
        sums.Count.ShouldBe(2);
        sums["tool"].ShouldBe(a);
        sums["dir/other name"].ShouldBe(new string('b', 64));
    }

    [Fact]
    public void ChecksumFile_WrittenAndRead_IsTheSame()
    {
        var (a, b, c) = (new string('a', 64), new string('b', 64), new string('c', 64));
        var file = ChecksumFile.Empty
            .With("one-v1-linux-x86_64", [new("one-v1-linux-x86_64", a)], new Provenance(c, true))
            .With("two-v1-linux-x86_64", [new("two-v1-linux-x86_64/bin/two", a), new("two-v1-linux-x86_64/lib.so", b)], new Provenance(null, false));
        var read = ChecksumFile.Parse(file.Text());
        read.Text().ShouldBe(file.Text());
        read.Of("two-v1-linux-x86_64").Count().ShouldBe(2);
        read.Notes["two-v1-linux-x86_64"].Verified.ShouldBeFalse();
        var less = read.Without("two-v1-linux-x86_64");
        less.Sums.Keys.ShouldBe(["one-v1-linux-x86_64"]);
        less.Text().ShouldNotContain("two");
    }

    [Theory]
    [InlineData("https://ann:secret@host:8443/a/b?sig=secret", "https://[redacted]@host:8443/a/b?[redacted]")]
    [InlineData("http://127.0.0.1:9/x", "http://127.0.0.1:9/x")]
    public void ShownUrl_UserPartAndQuery_AreHidden(string url, string shown) => ShownUrl.Of(new Uri(url)).ShouldBe(shown);
}
