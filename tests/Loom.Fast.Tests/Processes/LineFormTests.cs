using System.Text;
using Loom.Processes;
using Loom.Processes.Logs;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class LineFormTests
{
    private static readonly DateTimeOffset s_at = new(2026, 11, 22, 5, 6, 7, 89, TimeSpan.Zero);

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("\e[31mred\e[0m and \e[1;38;5;208mbright\e[m", "red and bright")]
    [InlineData("\e]0;title\atext", "text")]
    [InlineData("\e]8;;http://x\e\\link\e]8;;\e\\", "link")]
    [InlineData("\e(Bx\e=y\eMz", "xyz")]
    [InlineData("cut \e[3", "cut ")]
    [InlineData("cut \e", "cut ")]
    [InlineData("grün ✔", "grün ✔")]
    public void Strip_Sequences_LeavesTheText(string line, string expected) =>
        Encoding.UTF8.GetString(Ansi.Strip(Encoding.UTF8.GetBytes(line))).ShouldBe(expected);

    [Fact]
    public void Text_KeepsOrDropsColoursAndTime()
    {
        Line(new LogOptions(), "\e[31mred\e[m").ShouldBe("2026-11-22T05:06:07.089Z red");
        Line(new LogOptions { StripAnsi = false, Timestamps = false }, "\e[31mred\e[m").ShouldBe("\e[31mred\e[m");
    }

    [Fact]
    public void Json_IsOneObjectALine_WithInvalidBytesReplaced()
    {
        var options = new LogOptions { Format = LineFormat.Json };
        Line(options, "say \"hi\"\tü\r").ShouldBe("""{"ts":"2026-11-22T05:06:07.089Z","name":"a","stream":"stdout","text":"say \"hi\"\tü"}""");
        var form = new LineForm("a", options with { Timestamps = false });
        Encoding.UTF8.GetString(form.Body([0x78, 0xFF, 0x79], LineSource.Error, s_at)).ShouldBe("""{"name":"a","stream":"stderr","text":"x�y"}""");
    }

    private static string Line(LogOptions options, string text)
    {
        var form = new LineForm("a", options);
        Span<byte> stamp = stackalloc byte[LineForm.StampLength];
        var length = form.Stamp(s_at, stamp);
        return Encoding.UTF8.GetString(stamp[..length]) + Encoding.UTF8.GetString(form.Body(Encoding.UTF8.GetBytes(text), LineSource.Output, s_at));
    }
}
