using Loom.Core.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class EnvFileParserTests
{
    [Theory]
    [InlineData("A=b", "b")]
    [InlineData("\uFEFFA=b\r\n", "b")]
    [InlineData("  export A=b  # note", "b")]
    [InlineData("A=b#c", "b#c")]
    [InlineData("A=#c", "")]
    [InlineData("A=", "")]
    [InlineData("A= b c \t", "b c")]
    [InlineData("A='lit $X \\n \"'", "lit $X \\n \"")]
    [InlineData("A=\"x\\n\\t\\\"\\\\\" # c", "x\n\t\"\\")]
    [InlineData("A=\"two\r\nlines\"", "two\nlines")]
    [InlineData("A='two\nlines'", "two\nlines")]
    [InlineData("A=a'b'", "a'b'")]
    public void Parse_Value_IsReadAsWritten(string text, string value)
    {
        var parsed = EnvFileParser.Parse(text);
        parsed.Faults.ShouldBeEmpty();
        parsed.Entries.ShouldHaveSingleItem().Value.ShouldBe(value);
    }

    [Theory]
    [InlineData("\n  1A=b", 2, 3, "expected NAME=value")]
    [InlineData("A b", 1, 2, "expected = directly after the name")]
    [InlineData("A =b", 1, 2, "expected = directly after the name")]
    [InlineData("A='x", 1, 3, "the closing quote is missing")]
    [InlineData("A=\"é\\q\"", 1, 5, "unknown escape; known are \\n \\t \\\" \\\\")]
    [InlineData("A='x'y", 1, 6, "expected the end of the line after the closing quote")]
    public void Parse_Fault_TellsItsPlace(string text, int line, int column, string message)
    {
        var fault = EnvFileParser.Parse(text).Faults.ShouldHaveSingleItem();
        (fault.Line, fault.Column, fault.Message, fault.Severity).ShouldBe((line, column, message, FaultSeverity.Error));
    }

    [Fact]
    public void Parse_NameTwice_WarnsAndTheLastWins()
    {
        var parsed = EnvFileParser.Parse("A=1\nA=2");
        parsed.Entries[^1].Value.ShouldBe("2");
        parsed.Faults.ShouldHaveSingleItem().Severity.ShouldBe(FaultSeverity.Warning);
    }

    [Theory]
    [InlineData("T=$(openssl rand -hex 32)")]
    [InlineData("T=`id`")]
    public void Parse_CommandText_WarnsAndRunsNothing(string text)
    {
        var parsed = EnvFileParser.Parse(text);
        parsed.Entries.ShouldHaveSingleItem().Value.ShouldBe(text[2..]);
        parsed.Faults.ShouldHaveSingleItem().Severity.ShouldBe(FaultSeverity.Warning);
    }

    [Fact]
    public void Parse_AnyBytes_Ends()
    {
        var random = new Random(7);
        for (var i = 0; i < 5000; i++)
        {
            var text = new string([.. Enumerable.Range(0, random.Next(30)).Select(_ => "A=b'\"\\\n\r #$(\0\texport "[random.Next(21)])]);
            EnvFileParser.Parse(text).Entries.Count.ShouldBeLessThan(31);
        }
    }
}
