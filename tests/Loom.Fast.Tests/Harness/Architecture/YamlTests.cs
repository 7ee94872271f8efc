using System.Diagnostics;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class YamlTests
{
    [Theory]
    [InlineData("1", "Int")]
    [InlineData("-17", "Int")]
    [InlineData("0x1F", "Int")]
    [InlineData("0o17", "Int")]
    [InlineData("1.5", "Float")]
    [InlineData(".5", "Float")]
    [InlineData("1e3", "Float")]
    [InlineData("1.", "Float")]
    [InlineData("-.inf", "Float")]
    [InlineData(".nan", "Float")]
    [InlineData("true", "Bool")]
    [InlineData("FALSE", "Bool")]
    [InlineData("~", "Null")]
    [InlineData("null", "Null")]
    [InlineData("yes", "Text")]
    [InlineData("on", "Text")]
    [InlineData("1_000", "Text")]
    [InlineData("2026-01-01", "Text")]
    [InlineData("1.2.3", "Text")]
    [InlineData("+", "Text")]
    [InlineData(".", "Text")]
    [InlineData("e3", "Text")]
    [InlineData("'1'", "Text")]
    public void Scalar_OfTheCoreSchema_HasItsType(string text, string type) => Read($"key: {text}", out _).Find("key").ShouldBeOfTypeOrNull(type);

    [Theory]
    [InlineData("0x1F", 31L)]
    [InlineData("0o17", 15L)]
    [InlineData("-9223372036854775808", long.MinValue)]
    [InlineData("9223372036854775808", null)]
    public void Int_AnyBase_IsRead(string text, long? value) => CoreSchema.Int(text).ShouldBe(value);

    [Fact]
    public void Read_ByteOrderMarkAndCrLf_ChangeNothing()
    {
        var plain = new MemorySystem(LoaderTests.Small).Load().Plan!;
        var windows = new MemorySystem().With("architecture.yaml", [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(LoaderTests.Small.Replace("\n", "\r\n"))]).Load();
        windows.Findings.ShouldBeEmpty();
        windows.Plan!.Bindings.ShouldBe(plan(plain));

        static IReadOnlyList<BindingPlan> plan(SystemPlan of) => of.Bindings;
    }

    [Fact]
    public void Places_BehindCrLf_AreTheSame() =>
        new MemorySystem(LoaderTests.Small.Replace("work.in", "work.inn").Replace("\n", "\r\n")).Lines().ShouldHaveSingleItem().ShouldStartWith("architecture.yaml:14:27: error LH204");

    [Fact]
    public void Aliases_OfAFew_AreTheirAnchors()
    {
        var system = new MemorySystem(LoaderTests.Small.Replace("config: { path: in.txt, settle_ms: 20 }", "config: { path: &p in.txt }").Replace("{ copies: 3 }", "{ fields: [ *p, *p ] }"));
        ((Parts.EachOptions)system.Load().Plan!.Components[1].Options!).Fields.ShouldBe(["in.txt", "in.txt"]);
    }

    [Fact]
    public void Aliases_ThatExpandWithoutEnd_AreRefusedAtOnce()
    {
        var text = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 12; i++)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n");
        }

        new MemorySystem(text.ToString()).Lines().ShouldHaveSingleItem().ShouldContain("error LH108: aliases expand to more than 10000 values");
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    public void Nesting_AHundredThousandDeep_IsAnAnswer(string open)
    {
        var lines = new MemorySystem("a: " + string.Concat(Enumerable.Repeat(open, 100_000))).Lines();
        lines.ShouldHaveSingleItem().ShouldMatch("error LH10[28]");
    }

    [Fact]
    public void File_OverFourMiB_IsNotParsed() => new MemorySystem("# " + new string('x', YamlReader.MaxBytes)).Lines().ShouldHaveSingleItem().ShouldContain("LH101");

    [Fact]
    public void File_IsAFolder_IsToldSo() => new MemorySystem().With("architecture.yaml/x", "").Lines().ShouldBe(["architecture.yaml: error LH101: the file cannot be read: it is a folder; put a readable file there"]);

    [Fact]
    public void File_OfAHundredThousandComponents_IsAnsweredInTime()
    {
        var text = new StringBuilder("schema_version: 1.0.0\nsystem: {name: big}\ncomponents:\n");
        for (var i = 0; i < 100_000; i++)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"- {{name: c{i}, type: Sink, uses: keep}}\n");
        }

        var watch = Stopwatch.StartNew();
        new MemorySystem(text.ToString()).Load().Findings.Count.ShouldBe(100_000);

        // The promise is 2 s on a quiet machine; work that grows with the square of the components takes hours.
        watch.Elapsed.ShouldBeLessThan(TimeSpan.FromMinutes(5));
    }

    [Fact]
    public void Read_AnyTornText_NeverThrows()
    {
        var source = Encoding.UTF8.GetBytes(LoaderTests.Small);
        Prop.ForAll(ArbMap.Default.ArbFor<(int, byte)[]>(), edits =>
        {
            var torn = source.ToArray();
            foreach (var (at, value) in edits.Take(6))
            {
                torn[(int)((uint)at % (uint)torn.Length)] = value;
            }

            return new MemorySystem().With("architecture.yaml", torn).Load() is not null;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Read_EveryPrefixOfASystem_NeverThrows()
    {
        for (var length = 0; length < LoaderTests.Small.Length; length++)
        {
            new MemorySystem(LoaderTests.Small[..length]).Load();
        }
    }

    private static YamlMapping Read(string text, out FindingList findings)
    {
        findings = new FindingList();
        return (YamlMapping)YamlReader.Read("x.yaml", Encoding.UTF8.GetBytes(text), findings)!;
    }
}

internal static class ScalarAssertions
{
    // A null counts as absent.
    public static void ShouldBeOfTypeOrNull(this YamlNode? node, string type)
    {
        if (type == "Null")
        {
            node.ShouldBeNull();
            return;
        }

        node.ShouldBeOfType<YamlScalar>().Type.ToString().ShouldBe(type);
    }
}
