using System.Buffers;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Processes.Logs;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class OutputTests
{
    private static readonly Dictionary<string, string> s_secrets = new(StringComparer.Ordinal)
    {
        ["A"] = "swordfish",
        ["B"] = "swordfishermen",
        ["C"] = "fishfishfish",
        ["SHORT"] = "seven77",
    };

    [Fact]
    public void Redactor_SecretCutAnywhere_IsMaskedAndNothingElseChanges()
    {
        const string Text = "x swordfishermen y swordfish z swordfisherm fishfishfishfish seven77 swordswordfish\n";
        var whole = Redact([Text]);
        whole.ShouldBe("x [redacted:B] y [redacted:A] z [redacted:A]erm [redacted:C]fish seven77 sword[redacted:A]\n");
        Prop.ForAll(Gen.Choose(0, Text.Length).ListOf().ToArbitrary(), cuts =>
        {
            var parts = new List<string>();
            var at = 0;
            foreach (var cut in cuts.Order().Append(Text.Length))
            {
                parts.Add(Text[at..cut]);
                at = cut;
            }

            return Redact(parts) == whole;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Redactor_EndWithinWhatMayBecomeASecret_IsPassedOnAtTheEnd() => Redact(["only swordf"]).ShouldBe("only swordf");

    [Fact]
    public void Splitter_CutAnywhere_YieldsTheSameLines()
    {
        const string Text = "one\n\ntwo\r\nthree";
        Prop.ForAll(Gen.Choose(0, Text.Length).ToArbitrary(), Gen.Choose(0, Text.Length).ToArbitrary(), (a, b) =>
        {
            var (first, second) = (Math.Min(a, b), Math.Max(a, b));
            return Lines([Text[..first], Text[first..second], Text[second..]]).SequenceEqual(["one", "", "two\r", "three"]);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Splitter_EndlessLine_ComesInMarkedPartsAndLosesNothing()
    {
        var lines = Lines(Enumerable.Repeat(new string('x', 50_000), 4).Append("\nshort\n"));
        var marker = Encoding.UTF8.GetString(LineSplitter.Marker);
        lines.Count.ShouldBe(5);
        lines[..3].ShouldAllBe(l => l.Length == LineSplitter.Longest + marker.Length && l.EndsWith(marker));
        lines.Take(4).Sum(l => l.Replace(marker, "").Length).ShouldBe(200_000);
        lines[4].ShouldBe("short");
    }

    [Fact]
    public void Ring_ManyLines_KeepsTheLastThousandAndShowsInvalidBytes()
    {
        var ring = new LineRing();
        for (var i = 0; i < 2500; i++)
        {
            ring.Add(Encoding.ASCII.GetBytes($"line {i}"));
        }

        ring.Add([0xff, (byte)'a']);
        ring.Last(5000).Length.ShouldBe(1000);
        ring.Last(2).ShouldBe(["line 2499", "\uFFFDa"]);
    }

    [Fact]
    public void Stamp_IsRfc3339WithMilliseconds()
    {
        Span<byte> target = stackalloc byte[32];
        var length = LineForm.StampAlways(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 6, TimeSpan.FromHours(2)), target);
        Encoding.ASCII.GetString(target[..length]).ShouldBe("2026-01-02T01:04:05.006Z ");
    }

    private static string Redact(IEnumerable<string> parts)
    {
        var redactor = new Redactor(s_secrets);
        var output = new ArrayBufferWriter<byte>();
        foreach (var part in parts)
        {
            redactor.Pass(Encoding.UTF8.GetBytes(part), output, final: false);
        }

        redactor.Pass([], output, final: true);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static List<string> Lines(IEnumerable<string> parts)
    {
        var lines = new List<string>();
        var splitter = new LineSplitter(line => lines.Add(Encoding.UTF8.GetString(line)));
        foreach (var part in parts)
        {
            splitter.Feed(Encoding.UTF8.GetBytes(part));
        }

        splitter.Finish();
        return lines;
    }
}
