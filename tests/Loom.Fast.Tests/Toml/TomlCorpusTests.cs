using System.Globalization;
using System.Text.Json;
using Loom.Core.Toml;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Toml;

/// <summary>The public corpus is the judge: list 1.0.0, all valid and all invalid files. Read from disk because it is data, not code.</summary>
public sealed class TomlCorpusTests
{
    [Fact]
    public void Parse_ValidFiles_GivesTheStatedMeaning()
    {
        var corpus = Corpus("valid/");
        var wrong = new List<string>();
        foreach (var file in corpus)
        {
            try
            {
                using var actual = new MemoryStream();
                TomlTaggedJson.Write(TomlParser.Parse(File.ReadAllBytes(file)), actual);
                using var got = JsonDocument.Parse(actual.ToArray());
                using var wanted = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(file, ".json")));
                if (!Same(got.RootElement, wanted.RootElement))
                {
                    wrong.Add($"{file}: {got.RootElement}");
                }
            }
            catch (TomlException e)
            {
                wrong.Add($"{file}:{e.Position.Line}:{e.Position.Column}: {e.Message}");
            }
        }

        wrong.ShouldBeEmpty();
        corpus.Length.ShouldBe(210);
    }

    [Fact]
    public void Parse_InvalidFiles_RefusesEachWithAPlace()
    {
        var corpus = Corpus("invalid/");
        var wrong = new List<string>();
        foreach (var file in corpus)
        {
            var bytes = File.ReadAllBytes(file);
            try
            {
                TomlParser.Parse(bytes);
                wrong.Add(file);
            }
            catch (TomlException e)
            {
                e.Position.Line.ShouldBeInRange(1, bytes.Count(b => b == '\n') + 1, file);
                e.Position.Column.ShouldBeInRange(1, e.SourceLine.Length + 2, file);
            }
        }

        wrong.ShouldBeEmpty();
        corpus.Length.ShouldBe(499);
    }

    private static string[] Corpus(string folder)
    {
        Assert.SkipWhen(Repository.Shared is null, "the toml-test corpus is not here; it lies in shared/data/toml-test of the workspace");
        var root = Path.Combine(Repository.Shared!, "data", "toml-test");
        return File.ReadAllLines(Path.Combine(root, "files-toml-1.0.0"))
            .Where(l => l.StartsWith(folder, StringComparison.Ordinal) && l.EndsWith(".toml", StringComparison.Ordinal))
            .Select(l => Path.Combine(root, l)).ToArray();
    }

    private static bool Same(JsonElement a, JsonElement b)
    {
        if (a.ValueKind != b.ValueKind)
        {
            return false;
        }

        switch (a.ValueKind)
        {
            case JsonValueKind.Array:
                return a.GetArrayLength() == b.GetArrayLength() && a.EnumerateArray().Zip(b.EnumerateArray()).All(p => Same(p.First, p.Second));
            case JsonValueKind.Object when IsTagged(b):
                return IsTagged(a) && SameScalar(a, b);
            case JsonValueKind.Object:
                return a.EnumerateObject().Count() == b.EnumerateObject().Count()
                    && a.EnumerateObject().All(p => b.TryGetProperty(p.Name, out var other) && Same(p.Value, other));
            default:
                return a.GetString() == b.GetString();
        }
    }

    private static bool IsTagged(JsonElement e) =>
        e.ValueKind == JsonValueKind.Object && e.EnumerateObject().Count() == 2 && e.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String
        && e.TryGetProperty("value", out var value) && value.ValueKind == JsonValueKind.String;

    private static bool SameScalar(JsonElement a, JsonElement b)
    {
        var (type, x, y) = (b.GetProperty("type").GetString()!, a.GetProperty("value").GetString()!, b.GetProperty("value").GetString()!);
        return a.GetProperty("type").GetString() == type && type switch
        {
            "float" when y is not ("nan" or "inf" or "+inf" or "-inf") =>
                double.Parse(x, CultureInfo.InvariantCulture).Equals(double.Parse(y, CultureInfo.InvariantCulture)),
            "float" => x == y.TrimStart('+'),
            "datetime" or "datetime-local" or "time-local" => Fraction(x) == Fraction(y.ToUpperInvariant().Replace(' ', 'T')),
            _ => x == y,
        };
    }

    // 00.600 and 00.6 are the same time.
    private static string Fraction(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0)
        {
            return text;
        }

        var end = dot + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        return text[..dot] + text[dot..end].TrimEnd('0').TrimEnd('.') + text[end..];
    }
}
