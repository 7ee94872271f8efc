using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Harness.Components.BuiltIns.Sources;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class CsvRecordTests
{
    [Theory]
    [InlineData("a,b,c\n", "a|b|c")]
    [InlineData("a,b,c\r\n", "a|b|c")]
    [InlineData("a,b,c", "a|b|c")]
    [InlineData(",\n", "|")]
    [InlineData("\"a,b\",c\n", "a,b|c")]
    [InlineData("\"a\"\"b\"\n", "a\"b")]
    [InlineData("\"line\nend\",x\n", "line\nend|x")]
    [InlineData("\"\"\n", "")]
    [InlineData("a \"quoted\" word,b\n", "a \"quoted\" word|b")]
    [InlineData("\"a\",\"\"\r\n", "a|")]
    public void Csv_Record_HasItsFields(string text, string fields)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var record = new CsvRecord();
        record.Parse(bytes, final: true, out var consumed).ShouldBe(CsvOutcome.Record);
        consumed.ShouldBe(bytes.Length);
        string.Join('|', Enumerable.Range(0, record.Count).Select(i => record.Text(bytes, i))).ShouldBe(fields);
    }

    [Fact]
    public void Csv_TextBehindQuote_IsBadToTheEndOfItsLine()
    {
        var record = new CsvRecord();
        record.Parse("x,\"a\"b,c\nnext\n"u8, final: false, out var consumed).ShouldBe(CsvOutcome.Bad);
        consumed.ShouldBe("x,\"a\"b,c\n".Length);
        record.Fault.ShouldContain("closing quote");
    }

    [Fact]
    public void Csv_QuoteNeverClosed_IsBadAtTheEnd()
    {
        var record = new CsvRecord();
        record.Parse("\"a,b"u8, final: false, out _).ShouldBe(CsvOutcome.Incomplete);
        record.Parse("\"a,b"u8, final: true, out var consumed).ShouldBe(CsvOutcome.Bad);
        consumed.ShouldBe(4);
    }

    [Fact]
    public void Csv_EmptyLine_IsToldFromAnEmptyField()
    {
        var record = new CsvRecord();
        record.Parse("\r\nx"u8, final: false, out var consumed).ShouldBe(CsvOutcome.Empty);
        consumed.ShouldBe(2);
    }

    // Whatever is written by the rules is read again, however the text is cut into blocks.
    [Fact]
    public void Csv_AnyRecordsInAnyPieces_AreReadAsWritten()
    {
        var piece = Gen.Elements("a", "b", "1", " ", ",", "\"", "\r\n", "\n", "é", ";", "'");
        var field = Gen.Select(Gen.ListOf(piece), p => string.Concat(p));
        var row = Gen.Select(Gen.NonEmptyListOf(field), f => f.ToArray());
        var all = from rows in Gen.NonEmptyListOf(row) from cut in Gen.Choose(1, 40) from crlf in Gen.Elements(true, false) select (rows: rows.ToArray(), cut, crlf);
        Prop.ForAll(all.ToArbitrary(), sample =>
        {
            var end = sample.crlf ? "\r\n" : "\n";
            var text = string.Concat(sample.rows.Select(r => string.Join(',', r.Select(Quote)) + end));
            var bytes = Encoding.UTF8.GetBytes(text);
            var expected = sample.rows.Select(r => string.Join('\x1f', r)).ToArray();
            Read(bytes, sample.cut).ShouldBe(expected);
        }).QuickCheckThrowOnFailure();
    }

    private static string Quote(string field) => $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static List<string> Read(byte[] bytes, int cut)
    {
        var record = new CsvRecord();
        var found = new List<string>();
        int start = 0, end = 0;
        while (start < bytes.Length)
        {
            var final = end == bytes.Length;
            var text = bytes.AsSpan(start, end - start).ToArray();
            var outcome = record.Parse(text, final, out var consumed);
            if (outcome == CsvOutcome.Incomplete)
            {
                final.ShouldBeFalse();
                end = Math.Min(bytes.Length, end + cut);
                continue;
            }

            outcome.ShouldBe(CsvOutcome.Record);
            found.Add(string.Join('\x1f', Enumerable.Range(0, record.Count).Select(i => record.Text(text, i))));
            start += consumed;
        }

        return found;
    }
}
