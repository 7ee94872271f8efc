using System.Diagnostics;
using System.Globalization;
using System.Text;
using Loom.Core.Toml;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Toml;

public sealed class TomlFuzzTests
{
    // Every construct once, so that mutations reach every branch.
    private const string Seed = """"
        # comment
        title = "TOML \u00e9 \"x\" \\ \n"
        lit = 'C:\x'
        multi = '''
        a''b
        '''
        cont = """
          one \
          two """
        ints = [ 1, -2, +3, 0x1F, 0o17, 0b101, 1_000 ]
        floats = [ 1.5, -0.0, 6.02e23, inf, -nan, 3e-2,
          # inside
          9.0, ]
        when = [ 1979-05-27T07:32:00Z, 1979-05-27 07:32:00.5+01:00, 1979-05-27, 07:32:00 ]
        a.b."c d".e = { x = 1, y.z = [ { q = true }, {} ] }
        [table]
        k = false
        [table.sub."q.r"]
        v = "😀"
        [[list]]
        n = 1
        [[list]]
        [list.inner]
        n = 2
        """";

    private static ReadOnlySpan<byte> Interesting => "[]{}\"'=.,#\\\n\r\t -+_0eE:TZ"u8;

    /// <summary>LOOM_TEST_TOML_MUTATIONS=1000000 runs the long form.</summary>
    [Fact]
    public void Parse_MutatedFiles_EndsWithADocumentOrAFaultInTheFile()
    {
        var count = int.Parse(Environment.GetEnvironmentVariable("LOOM_TEST_TOML_MUTATIONS") ?? "5000", CultureInfo.InvariantCulture);
        var random = new Random(20260527);
        var seed = Encoding.UTF8.GetBytes(Seed);
        TomlParser.Parse(seed);
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < count; i++)
        {
            var bytes = Mutate(seed, random);
            var started = Stopwatch.GetTimestamp();
            try
            {
                TomlParser.Parse(bytes).Root.ShouldNotBeNull();
            }
            catch (TomlException e)
            {
                e.Position.Line.ShouldBeGreaterThan(0);
                e.Position.Column.ShouldBeGreaterThan(0);
                e.Length.ShouldBeGreaterThan(0);
            }

            var took = Stopwatch.GetElapsedTime(started);
            slowest = took > slowest ? took : slowest;
        }

        slowest.ShouldBeLessThan(TimeSpan.FromSeconds(10));
    }

    private static byte[] Mutate(byte[] seed, Random random)
    {
        var bytes = new List<byte>(seed);
        for (var edits = random.Next(1, 5); edits > 0 && bytes.Count > 0; edits--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveAt(at);
                    break;
                case 2:
                    bytes.Insert(at, Interesting[random.Next(Interesting.Length)]);
                    break;
                case 3:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 40)));
                    break;
                case 4:
                    bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, Math.Min(bytes.Count - at, random.Next(1, 60))));
                    break;
                default:
                    bytes.InsertRange(at, Enumerable.Repeat(bytes[at], random.Next(1, 200)));
                    break;
            }
        }

        return [.. bytes];
    }
}
