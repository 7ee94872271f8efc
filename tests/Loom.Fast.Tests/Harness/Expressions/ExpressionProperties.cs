using System.Globalization;
using System.Numerics;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Loom.Components;
using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Expressions;

public sealed class ExpressionProperties
{
    private static readonly long[] s_edges = [0, 1, -1, 2, 7, -10, long.MaxValue, long.MinValue, long.MaxValue - 1, int.MaxValue, 3037000500, -3037000500];

    [Fact]
    public void Arithmetic_AnyInts_ExactOrAnItemError()
    {
        Prop.ForAll(Seeds(), seed =>
        {
            var random = new Random(seed);
            var (a, b) = (Edge(random), Edge(random));
            var op = "+-*/%"[random.Next(5)];
            BigInteger? exact = op switch
            {
                '+' => (BigInteger)a + b,
                '-' => (BigInteger)a - b,
                '*' => (BigInteger)a * b,
                _ when b == 0 => null,
                '/' => (BigInteger)a / b,
                _ => (BigInteger)a % b,
            };
            var e = Event($$"""{"a":{{a}},"b":{{b}}}""");
            var expression = Expression.Compile($"data.a {op} data.b");
            if (exact is { } value && value >= long.MinValue && value <= long.MaxValue)
            {
                expression.Run(e).Int.ShouldBe((long)value, $"{a} {op} {b}");
            }
            else
            {
                Should.Throw<ItemException>(() => expression.Run(e), $"{a} {op} {b}").Code.ShouldBe("expression_error");
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Comparison_AnyNumbers_IsATotalOrderByValue()
    {
        Prop.ForAll(Seeds(), seed =>
        {
            var random = new Random(seed);
            var texts = Enumerable.Range(0, 3).Select(_ => NumberText(random)).ToArray();
            var e = Event($"[{string.Join(',', texts)}]");
            bool Holds(string text) => Expression.Compile(text).Test(e);
            (Holds("data[0] < data[1]") ? 1 : 0).ShouldBe(1 - (Holds("data[0] >= data[1]") ? 1 : 0));
            Holds("data[0] == data[1]").ShouldBe(Holds("data[0] <= data[1]") && Holds("data[1] <= data[0]"));
            if (Holds("data[0] <= data[1]") && Holds("data[1] <= data[2]"))
            {
                Holds("data[0] <= data[2]").ShouldBeTrue(string.Join(' ', texts));
            }

            if (Holds("data[0] == data[1]") && texts.All(t => t.Length < 16))
            {
                Expression.Compile("data[0]").Key(e).ShouldBe(Expression.Compile("data[1]").Key(e), string.Join(' ', texts));
            }
        }).QuickCheckThrowOnFailure();
    }

    // Brackets everywhere and none but the needed ones mean the same.
    [Fact]
    public void Parser_AnyExpression_PrecedenceAsWithAllBrackets()
    {
        Prop.ForAll(Seeds(), seed =>
        {
            var random = new Random(seed);
            var (plain, full, expected) = Arithmetic(random, 4);
            var e = Event("{}");
            if (expected is null)
            {
                Should.Throw<ExpressionException>(() => Expression.Compile(plain), plain);
                return;
            }

            Expression.Compile(plain).Run(e).Int.ShouldBe(expected.Value, plain);
            Expression.Compile(full).Run(e).Int.ShouldBe(expected.Value, full);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Parser_AnyText_CompilesOrSaysWhere()
    {
        string[] parts = ["data", ".", "a", "[", "]", "(", ")", "{", "}", "'", "\"", "1", "0x", "1e", "&&", "||", "==", "=", "!", "-", "?", ":", ",", "in", "map", "x", "has", "size", "$", " ", "\n", "//", "\\", "r'", "😀", ".matches('a+')", "true", "null", "9223372036854775808"];
        Prop.ForAll(Seeds(), seed =>
        {
            var random = new Random(seed);
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                Expression.Compile(text).Evaluate(ExpressionTests.Sample());
            }
            catch (ExpressionException error)
            {
                error.Column.ShouldBeInRange(1, text.Length + 1, text);
                error.Message.ShouldNotBeEmpty();
            }
            catch (ItemException error)
            {
                error.Code.ShouldBeOneOf("missing_field", "expression_error");
            }

            try
            {
                Template.Compile("a {{" + text + "}} b").Render(ExpressionTests.Sample());
            }
            catch (Exception error) when (error is ExpressionException or ItemException)
            {
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Fact]
    public void Values_AnyJson_PassThroughAndCompareAsThemselves()
    {
        Prop.ForAll(Seeds(), seed =>
        {
            var random = new Random(seed);
            var json = Json(random, 3);
            var e = Event($$"""{"v":{{json}},"w":{{json}}}""");
            Expression.Compile("data.v").Evaluate(e).GetRawText().ShouldBe(json);
            Expression.Compile("data.v == data.w && [data.v] == [data.w] && data.v in [1, data.w]").Test(e).ShouldBeTrue(json);
            JsonElement.DeepEquals(Expression.Compile("[{'a': data.v}]").Evaluate(e)[0].GetProperty("a"), JsonElement.Parse(json)).ShouldBeTrue(json);
            var canonical = CanonicalJson.Of(JsonElement.Parse(json));
            CanonicalJson.Of(JsonElement.Parse(canonical)).ShouldBe(canonical);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Durations_TextAndBack_Same()
    {
        Prop.ForAll(Seeds(), seed =>
        {
            var span = new TimeSpan(new Random(seed).NextInt64(-1_000_000_000_000_000, 1_000_000_000_000_000));
            TimeText.TryParseDuration(TimeText.Text(span), out var back).ShouldBeTrue(TimeText.Text(span));
            back.ShouldBe(span);
            var time = DateTimeOffset.UnixEpoch + span;
            TimeText.TryParseTimestamp(TimeText.Text(time), out var timeBack).ShouldBeTrue(TimeText.Text(time));
            timeBack.ShouldBe(time);
        }).QuickCheckThrowOnFailure();
    }

    private static Arbitrary<int> Seeds() => Gen.Choose(0, int.MaxValue).ToArbitrary();

    private static Event<JsonElement> Event(string json) => new(EventId.Root("src:0", 0), JsonElement.Parse(json));

    private static long Edge(Random random) => random.Next(3) == 0 ? random.NextInt64(long.MinValue, long.MaxValue) : random.Next(2) == 0 ? random.Next(-100, 100) : s_edges[random.Next(s_edges.Length)];

    private static string NumberText(Random random) => random.Next(4) switch
    {
        0 => Edge(random).ToString(CultureInfo.InvariantCulture),
        1 => ((double)Edge(random)).ToString("R", CultureInfo.InvariantCulture),
        2 => $"{random.Next(-5, 5)}.0",
        _ => (random.NextDouble() * 10).ToString("R", CultureInfo.InvariantCulture),
    };

    // Text with the brackets that are needed, text with all, and the value; null where it cannot be worked out.
    private static (string Plain, string Full, long? Value) Arithmetic(Random random, int depth)
    {
        if (depth == 0 || random.Next(4) == 0)
        {
            var number = random.Next(0, 10);
            return ($"{number}", $"{number}", number);
        }

        var product = random.Next(2) == 0;
        var (left, leftFull, a) = Arithmetic(random, depth - 1);
        var (right, rightFull, b) = Arithmetic(random, depth - 1);
        var op = product ? "*/%"[random.Next(3)] : "+-"[random.Next(2)];
        long? value = a is null || b is null || (op is '/' or '%' && b == 0) ? null : op switch { '+' => a + b, '-' => a - b, '*' => a * b, '/' => a / b, _ => a % b };
        var l = product && IsSum(left) ? $"({left})" : left;
        var r = IsSum(right) || (product && IsProduct(right)) ? $"({right})" : right;
        return ($"{l} {op} {r}", $"({leftFull} {op} {rightFull})", value);
    }

    // Whether an operator of the level stands outside all brackets.
    private static bool IsSum(string text) => Outside(text, "+-");

    private static bool IsProduct(string text) => Outside(text, "*/%");

    private static bool Outside(string text, string signs)
    {
        var level = 0;
        foreach (var c in text)
        {
            level += c == '(' ? 1 : c == ')' ? -1 : 0;
            if (level == 0 && signs.Contains(c))
            {
                return true;
            }
        }

        return false;
    }

    private static string Json(Random random, int depth) => (depth == 0 ? random.Next(5) : random.Next(7)) switch
    {
        0 => "null",
        1 => random.Next(2) == 0 ? "true" : "false",
        2 or 3 => NumberText(random),
        4 => JsonSerializer.Serialize(new string([.. Enumerable.Range(0, random.Next(5)).Select(_ => "aé\"\\\n\u0001\u2028x"[random.Next(8)])])),
        5 => $"[{string.Join(",", Enumerable.Range(0, random.Next(4)).Select(_ => Json(random, depth - 1)))}]",
        _ => $"{{{string.Join(",", Enumerable.Range(0, random.Next(4)).Select(i => $"\"k{i}\":{Json(random, depth - 1)}"))}}}",
    };
}
