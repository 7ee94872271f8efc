using System.Text;
using Loom.Core.Toml;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Toml;

public sealed class TomlParserTests
{
    [Theory]
    [InlineData("model = deepseek-chat", 1, 9, 1, "a text value needs quotes")]
    [InlineData("a = 1\nb = \"x", 2, 5, 2, "the closing quote is missing on this line")]
    [InlineData("é😀 = 1", 1, 1, 1, "expected a key, found 'é'")]
    [InlineData("\"é😀\" = \"😀\" x", 1, 12, 1, "expected the end of the line after a value")]
    [InlineData("a = 1\r\na = 2", 2, 1, 1, "'a' is already defined in line 1, column 1")]
    [InlineData("[x]\n[y.z]\n[x]", 3, 2, 1, "'x' is already defined in line 1, column 2")]
    [InlineData("t = {a = 1}\n[t.b]", 2, 2, 1, "'t' is already defined in line 1, column 1")]
    [InlineData("a.b = 1\na.b.c = 2", 2, 3, 1, "'a.b' is already defined in line 1, column 3")]
    [InlineData("d = 2026-02-29", 1, 5, 10, "no such day in the calendar")]
    [InlineData("n = 99999999999999999999", 1, 5, 20, "the number does not fit into 64 bits")]
    [InlineData("n =", 1, 4, 1, "a value is missing")]
    [InlineData("a = [1, 2", 1, 5, 1, "this array has no closing ]")]
    public void Parse_Fault_TellsPlaceLengthAndReason(string text, int line, int column, int length, string message)
    {
        var fault = Should.Throw<TomlException>(() => TomlParser.Parse(Encoding.UTF8.GetBytes(text)));
        fault.Message.ShouldBe(message);
        fault.Position.ShouldBe(new TomlPosition(line, column));
        fault.Length.ShouldBe(length);
    }

    [Fact]
    public void Parse_InvalidUtf8_TellsItsPlace()
    {
        var fault = Should.Throw<TomlException>(() => TomlParser.Parse([.. "a = 1\nb = \"é"u8, 0xC0, .. "\""u8]));
        fault.Position.ShouldBe(new TomlPosition(2, 7));
        fault.Message.ShouldBe("byte 0xC0 is not valid UTF-8");
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void Parse_Nesting_IsBounded(int depth, bool accepted)
    {
        string[] texts =
        [
            "a = " + new string('[', depth - 1) + new string(']', depth - 1),
            "[" + string.Join('.', Enumerable.Repeat("a", depth)) + "]",
            string.Join('.', Enumerable.Repeat("a", depth)) + " = 1",
            string.Concat(Enumerable.Repeat("a = {", depth - 1)) + "a = 1" + new string('}', depth - 1),
        ];
        foreach (var text in texts)
        {
            if (accepted)
            {
                TomlParser.Parse(Encoding.UTF8.GetBytes(text));
            }
            else
            {
                Should.Throw<TomlException>(() => TomlParser.Parse(Encoding.UTF8.GetBytes(text)), text).Message.ShouldBe("nested deeper than 64 levels");
            }
        }
    }

    [Fact]
    public void Parse_MillionBrackets_DoesNotOverflowTheStack() =>
        Should.Throw<TomlException>(() => TomlParser.Parse(Encoding.UTF8.GetBytes("a = " + new string('[', 1_000_000))));

    [Fact]
    public void Parse_OneByteTooMany_IsRefused()
    {
        TomlParser.Parse(Encoding.UTF8.GetBytes("#" + new string('x', TomlParser.MaxBytes - 1)));
        Should.Throw<TomlException>(() => TomlParser.Parse(Encoding.UTF8.GetBytes("#" + new string('x', TomlParser.MaxBytes)))).Message.ShouldContain("limit is 1048576");
    }

    [Fact]
    public void Parse_KeysAndValues_KeepTheirPlaces()
    {
        var document = TomlParser.Parse("\n[llm.\"deep seek\"]\n  api_key = \"x\" # c"u8);
        var llm = document.Root.Find("llm")!;
        var provider = ((TomlTable)llm.Value).Entries[0];
        var key = ((TomlTable)provider.Value).Entries[0];
        document.Text.Position(llm.Start).ShouldBe(new TomlPosition(2, 2));
        document.Text.Position(provider.Start).ShouldBe(new TomlPosition(2, 6));
        document.Text.Position(key.Start).ShouldBe(new TomlPosition(3, 3));
        document.Text.Position(key.Value.Start).ShouldBe(new TomlPosition(3, 13));
        document.Text.CharacterCount(key.Value.Start, key.Value.End).ShouldBe(3);
    }
}
