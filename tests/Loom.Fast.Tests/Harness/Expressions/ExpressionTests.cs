using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Expressions;

public sealed class ExpressionTests
{
    private const string Payload = """
        {"name":"Ada","age":36,"ratio":0.5,"big":12345678901234567890123,"none":null,"ok":true,"tags":["a","b","c"],"odd name":7,
         "items":[{"id":1,"price":2.5},{"id":2,"price":4}],"text":"Grüße 😀!","a":{"b":{"c":"deep"}},"when":"2026-01-31T12:00:00.25Z","zero":0,
         "max":9223372036854775807,"min":-9223372036854775808}
        """;

    [Theory]
    // Literals
    [InlineData("1", "1")]
    [InlineData("0x1F", "31")]
    [InlineData("-9223372036854775808", "-9223372036854775808")]
    [InlineData("1.5e3", "1500")]
    [InlineData("'it''s' == 'x'", null)]
    [InlineData(""" 'a\n\x41\u00e9\U0001F600' """, "\"a\\nAé😀\"")]
    [InlineData(""" r'a\n' """, """ "a\\n" """)]
    [InlineData("true", "true")]
    [InlineData("null", "null")]
    [InlineData("[1, 'a', null,]", """[1,"a",null]""")]
    [InlineData("{'a': 1, 'b': [data.age],}", """{"a":1,"b":[36]}""")]
    // Fields
    [InlineData("data.name", "\"Ada\"")]
    [InlineData("$.a.b.c", "\"deep\"")]
    [InlineData("$['odd name']", "7")]
    [InlineData("data.items[1].price", "4")]
    [InlineData("data.items[data.zero].id", "1")]
    [InlineData("data.big", "12345678901234567890123")]
    [InlineData("data.a", """{"b":{"c":"deep"}}""")]
    [InlineData("key", "\"k1\"")]
    [InlineData("headers.lang", "\"de\"")]
    [InlineData("headers['lang']", "\"de\"")]
    [InlineData("id", "\"src:0:7\"")]
    [InlineData("time", "\"2026-01-31T12:00:00Z\"")]
    [InlineData("meta.mock", "false")]
    [InlineData("meta.attempt", "1")]
    [InlineData("meta", """{"attempt":1,"mock":false,"trace_id":""}""")]
    // Operators
    [InlineData("1 + 2 * 3 - 4 / 2", "5")]
    [InlineData("7 / 2", "3")]
    [InlineData("-7 / 2", "-3")]
    [InlineData("-7 % 3", "-1")]
    [InlineData("7 / 2.0", "3.5")]
    [InlineData("data.age * data.ratio", "18")]
    [InlineData("'a' + 'b'", "\"ab\"")]
    [InlineData("[1] + [2]", "[1,2]")]
    [InlineData("--1", "1")]
    [InlineData("!data.ok", "false")]
    [InlineData("1 == 1.0", "true")]
    [InlineData("9007199254740993 == 9007199254740992.0", "false")]
    [InlineData("data.max < 9223372036854775808.0", "true")]
    [InlineData("{'a': 1} == {'a': 1.0}", "true")]
    [InlineData("data.items == [{'id': 1, 'price': 2.5}, {'price': 4, 'id': 2}]", "true")]
    [InlineData("data.none == null", "true")]
    [InlineData("data.name != null", "true")]
    [InlineData("'b' in data.tags", "true")]
    [InlineData("'c' in data.a.b", "true")]
    [InlineData("3 in [1, 2]", "false")]
    [InlineData("data.name < 'B'", "true")]
    [InlineData("data.age >= 18 ? 'adult' : 'child'", "\"adult\"")]
    [InlineData("data.age < 18 ? 1 : data.age < 40 ? 2 : 3", "2")]
    [InlineData("1 < 2 && 2 < 3 || false", "true")]
    // One side decides, the other may fail
    [InlineData("data.nope == 1 || data.ok", "true")]
    [InlineData("data.ok || data.nope == 1", "true")]
    [InlineData("data.nope == 1 && false", "false")]
    // has and size
    [InlineData("has(data.name)", "true")]
    [InlineData("has(data.nope.deeper)", "false")]
    [InlineData("has(data.items[2])", "false")]
    [InlineData("has(headers.lang)", "true")]
    [InlineData("size(data.tags) + data.tags.size()", "6")]
    [InlineData("size(data.text)", "8")]
    [InlineData("size(data.a)", "1")]
    // Strings
    [InlineData("data.name.contains('d') && data.name.startsWith('A') && data.name.endsWith('a')", "true")]
    [InlineData("data.text.upperAscii()", "\"GRüßE 😀!\"")]
    [InlineData("'a,b,c'.split(',')", """["a","b","c"]""")]
    [InlineData("'a,b,c'.split(',', 2)", """["a","b,c"]""")]
    [InlineData("data.tags.join('-')", "\"a-b-c\"")]
    [InlineData("'  x '.trim()", "\"x\"")]
    [InlineData("'aXbX'.replace('X', '')", "\"ab\"")]
    [InlineData("data.text.substring(6, 7)", "\"😀\"")]
    [InlineData("data.text.indexOf('!')", "7")]
    [InlineData("data.name.matches('^A.a$')", "true")]
    [InlineData("data.name.matches('x')", "false")]
    // Conversions
    [InlineData("int('42') + int(2.9) + int(-2.9)", "42")]
    [InlineData("double('1.5') + double(1)", "2.5")]
    [InlineData("string(1.0) + string(data.ok) + string(data.tags)", """ "1true[\"a\",\"b\",\"c\"]" """)]
    [InlineData("bool('true')", "true")]
    [InlineData("json('{\"x\": 1}').x", "1")]
    [InlineData("round(2.345, 2) + abs(-1) + floor(1.5) + ceil(1.2)", "6.35")]
    // Time
    [InlineData("timestamp(data.when) + duration('1h30m')", "\"2026-01-31T13:30:00.25Z\"")]
    [InlineData("timestamp('2026-01-31T13:00:00+01:00') == time", "true")]
    [InlineData("time - timestamp('2026-01-31')", "\"43200s\"")]
    [InlineData("time.getFullYear() + time.getMonth() + time.getDate()", "2057")]
    [InlineData("time.format('yyyy-MM-dd HH')", "\"2026-01-31 12\"")]
    [InlineData("int(time)", "1769860800")]
    [InlineData("timestamp(1769860800) == time", "true")]
    [InlineData("duration('90m').getHours()", "1")]
    [InlineData("duration('250ms') < duration('1s')", "true")]
    // Loops
    [InlineData("data.items.exists(i, i.price > 3)", "true")]
    [InlineData("data.items.all(i, i.price > 3)", "false")]
    [InlineData("data.items.exists_one(i, i.id == 2)", "true")]
    [InlineData("data.items.filter(i, i.price > 3).map(i, i.id)", "[2]")]
    [InlineData("data.items.map(i, i.price > 3, i.id)", "[2]")]
    [InlineData("data.items.map(i, {'id': i.id, 'name': data.name})", """[{"id":1,"name":"Ada"},{"id":2,"name":"Ada"}]""")]
    [InlineData("data.tags.map(x, data.tags.map(y, x + y)).map(l, l.join()).join(' ')", "\"aaabac babbbc cacbcc\"")]
    [InlineData("data.a.map(k, k)", """["b"]""")]
    [InlineData("data.items.exists(i, i.nope > 3 || i.id == 2)", "true")]
    [InlineData("[1, 2].map(data, data + 1)", "[2,3]")]
    [InlineData("data.name // the rest is a remark", "\"Ada\"")]
    public void Evaluate_Expression_Value(string text, string? expected)
    {
        if (expected is null)
        {
            Should.Throw<ExpressionException>(() => Expression.Compile(text));
            return;
        }

        var result = Expression.Compile(text.Trim()).Evaluate(Sample());
        JsonElement.DeepEquals(result, JsonElement.Parse(expected)).ShouldBeTrue($"{text} gave {result.GetRawText()}");
    }

    [Theory]
    [InlineData("data.nope", "missing_field", "data.nope is missing")]
    [InlineData("data.a.nope.c", "missing_field", "data.a.nope.c is missing")]
    [InlineData("data.items[9].id", "missing_field", "data.items[9].id is missing")]
    [InlineData("data.name.first", "missing_field", "data.name.first is missing")]
    [InlineData("data.items[data.age]", "missing_field", "data.items[data.age] is missing")]
    [InlineData("headers.nope", "missing_field", "headers.nope is missing")]
    [InlineData("data.max + 1", "expression_error", "does not fit into an int")]
    [InlineData("data.min - 1", "expression_error", "does not fit into an int")]
    [InlineData("data.max * 2", "expression_error", "does not fit into an int")]
    [InlineData("-data.min", "expression_error", "does not fit into an int")]
    [InlineData("data.min / -1", "expression_error", "does not fit into an int")]
    [InlineData("1 / data.zero", "expression_error", "division by zero")]
    [InlineData("1 % data.zero", "expression_error", "division by zero")]
    [InlineData("1.5 / data.zero", "expression_error", "division by zero")]
    [InlineData("data.name + data.age", "expression_error", "does not take a string and an int")]
    [InlineData("data.name < data.age", "expression_error", "cannot be compared")]
    [InlineData("data.name ? 1 : 2", "expression_error", "must be a bool, not a string")]
    [InlineData("data.name && true", "expression_error", "takes bools")]
    [InlineData("int(data.name)", "expression_error", "\"Ada\" is no int")]
    [InlineData("timestamp(data.name)", "expression_error", "is no timestamp")]
    [InlineData("data.age.trim()", "expression_error", "trim takes (a string), not (an int)")]
    [InlineData("data.age.map(x, x)", "expression_error", "goes through a list or a map")]
    [InlineData("data.tags.map(x, data.tags.map(y, data.tags.map(z, data.tags.map(a, data.tags.map(b, data.tags.map(c, data.tags.map(d, data.tags.map(e, x + y)))))))) ", "expression_error", "10000 steps")]
    [InlineData("data.tags.all(x, data.tags.all(y, data.tags.all(z, data.tags.all(a, data.tags.all(b, data.tags.all(c, data.tags.all(d, data.tags.all(e, x == x))))))))", "expression_error", "10000 steps")]
    public void Evaluate_ItemError_CodeAndReason(string text, string code, string reason)
    {
        var expression = Expression.Compile(text);
        var error = Should.Throw<ItemException>(() => expression.Evaluate(Sample()));
        error.Code.ShouldBe(code);
        error.Message.ShouldContain(reason);
        error.Class.ShouldBe(ErrorClass.Permanent);
    }

    [Theory]
    [InlineData("", 1, "empty")]
    [InlineData("dta.x", 1, "did you mean \"data\"?")]
    [InlineData("1 + nme", 5, "no variable \"nme\"")]
    [InlineData("name == 'x'", 1, "data.name")]
    [InlineData("data.name.startWith('a')", 11, "did you mean \"startsWith\"?")]
    [InlineData("sizeof(data)", 1, "no function \"sizeof\"")]
    [InlineData("trim(data.x)", 1, "x.trim(...)")]
    [InlineData("data.x.int()", 8, "int(x)")]
    [InlineData("1 +", 4, "ends where a value is expected")]
    [InlineData("data.a = 1", 8, "\"==\"")]
    [InlineData("true & false", 6, "\"&&\"")]
    [InlineData("(1 + 2", 7, "\")\"")]
    [InlineData("1 2", 3, "the end or an operator")]
    [InlineData("'abc", 1, "no closing '")]
    [InlineData("'a\\q'", 3, "unknown escape")]
    [InlineData("data.name.matches('(')", 19, "pattern is refused")]
    [InlineData("data.name.matches('(a)\\\\1')", 19, "pattern is refused")]
    [InlineData("data.name.matches(data.p)", 19, "written as a string")]
    [InlineData("1 + 'a'", 3, "does not take an int and a string")]
    [InlineData("1 == 'a'", 3, "never equal")]
    [InlineData("id < 1", 4, "cannot be compared")]
    [InlineData("1 && true", 1, "must be a bool")]
    [InlineData("true || 'x'", 9, "must be a bool")]
    [InlineData("id ? 1 : 2", 1, "must be a bool")]
    [InlineData("!1", 1, "must be a bool")]
    [InlineData("-'a'", 1, "a number")]
    [InlineData("id.trim(1)", 4, "trim takes (a string)")]
    [InlineData("int(true)", 1, "int takes")]
    [InlineData("1 / 0", 3, "division by zero")]
    [InlineData("9223372036854775807 + 1", 21, "does not fit")]
    [InlineData("9223372036854775808", 1, "larger than an int")]
    [InlineData("timestamp('yesterday')", 1, "is no timestamp")]
    [InlineData("has(1)", 5, "has() asks")]
    [InlineData("has(data)", 5, "has() asks")]
    [InlineData("{1: 2}", 2, "must be a string")]
    [InlineData("{'a': 1, 'a': 2}", 10, "twice")]
    [InlineData("meta.nope", 6, "attempt, mock, trace_id")]
    [InlineData("time.year", 6, "has no field \"year\"")]
    [InlineData("id.trim", 4, "is a function")]
    [InlineData("1.5x", 4, "cannot be followed")]
    [InlineData("data.items.map(1, 2)", 16, "the name of a variable")]
    [InlineData("data.items.filter(x, 1)", 22, "must be a bool")]
    [InlineData("id.map(x, x)", 4, "goes through a list")]
    [InlineData("time.format('%')", 13, "no pattern for a time")]
    [InlineData("a#b", 2, "no meaning")]
    public void Compile_Wrong_ColumnAndAdvice(string text, int column, string advice)
    {
        var error = Should.Throw<ExpressionException>(() => Expression.Compile(text));
        error.Message.ShouldContain(advice);
        error.Column.ShouldBe(column, error.Message);
    }

    [Fact]
    public void Compile_SeveralLines_LineAndColumn()
    {
        var error = Should.Throw<ExpressionException>(() => Expression.Compile("data.a == 1\n  && dta.b"));
        (error.Line, error.Column).ShouldBe((2, 6));
    }

    [Fact]
    public void Compile_NestedTooDeep_RefusedInsteadOfOverflow()
    {
        foreach (var text in new[]
        {
            new string('(', 100_000), new string('[', 100_000), "-" + new string('-', 100_000) + "1", new string('!', 50_000) + "true",
            string.Join(" + ", Enumerable.Repeat("data.a", 50_000)), "data" + string.Concat(Enumerable.Repeat(".x()", 10_000)),
            string.Concat(Enumerable.Repeat("data.a.map(x, ", 10_000)), string.Concat(Enumerable.Repeat("true ? 1 : ", 10_000)) + "2",
            "[1]" + string.Concat(Enumerable.Repeat("[0]", 1000)), string.Concat(Enumerable.Repeat("!(", 10_000)),
        })
        {
            try
            {
                Expression.Compile(text).Evaluate(Sample());
            }
            catch (Exception e) when (e is ExpressionException or ItemException)
            {
            }
        }
    }

    [Fact]
    public void CompileCondition_NotABool_Refused()
    {
        Should.Throw<ExpressionException>(() => Expression.CompileCondition("1 + 1")).Message.ShouldContain("a condition must give a bool");
        Expression.CompileCondition("data.a").Kind.ShouldBe(Kind.Any);
    }

    [Theory]
    [InlineData("data.name", "Ada")]
    [InlineData("data.age", "36")]
    [InlineData("36.0", "36")]
    [InlineData("data.a", """{"b":{"c":"deep"}}""")]
    [InlineData("{'b': 1.50, 'a': 'x\"y\\n'}", """{"a":"x\"y\n","b":1.5}""")]
    [InlineData("data.items[0]", """{"id":1,"price":2.5}""")]
    [InlineData("data.big", "12345678901234567890123")]
    [InlineData("[data.name, data.ok]", """["Ada",true]""")]
    public void Key_Value_CanonicalText(string text, string expected) => Expression.Compile(text).Key(Sample()).ShouldBe(expected);

    [Fact]
    public void Key_Null_ItemError() =>
        Should.Throw<ItemException>(() => Expression.Compile("data.none").Key(Sample())).Code.ShouldBe("missing_field");

    [Fact]
    public void Canonical_OrderBlanksAndNumbers_OneForm()
    {
        var expected = """{"a":[1,1000,0.1],"b":"é\u0001"}""";
        CanonicalJson.Of(JsonElement.Parse(""" { "b" : "\u00e9\u0001" , "a" : [ 1.0, 1e3, 0.10 ] } """)).ShouldBe(expected);
        CanonicalJson.Of(JsonElement.Parse("""{"a":[1,1000.0,1e-1],"b":"é\u0001"}""")).ShouldBe(expected);
    }

    [Fact]
    public void Test_PayloadIsNoObject_MissingField()
    {
        var e = new Event<JsonElement>(EventId.Root("src:0", 1), JsonElement.Parse("5"));
        Should.Throw<ItemException>(() => Expression.Compile("data.a == 1").Test(e)).Code.ShouldBe("missing_field");
        Expression.Compile("data > 4").Test(e).ShouldBeTrue();
        Expression.Compile("key == null").Test(e).ShouldBeTrue();
    }

    [Fact]
    public void Test_CommonConditions_AllocateNothing()
    {
        var e = Sample();
        foreach (var text in new[] { "data.age > 18 && data.ratio < 1.0", "data.name == 'Ada'", "has(data.a.b.c) ? data.ok : false", "data.items[1].price * 2 > 7" })
        {
            var expression = Expression.Compile(text);
            expression.Test(e);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                expression.Test(e);
            }

            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1000, text);
        }
    }

    internal static Event<JsonElement> Sample() =>
        new Event<JsonElement>(EventId.Root("src:0", 7), JsonElement.Parse(Payload), "k1", new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero)).WithHeader("lang", "de");
}
