using Loom.Components;
using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Expressions;

public sealed class TemplateTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("", "")]
    [InlineData("Hello {{ data.name }}!", "Hello Ada!")]
    [InlineData("{{data.age}}{{ $.ok }}{{ data.tags }}{{ data.none }}", "36true[\"a\",\"b\",\"c\"]null")]
    [InlineData("{{ {'a': {'b': 1}} }}", """{"a":{"b":1}}""")]
    [InlineData("{{ \"{{\" }} }} { }", "{{ }} { }")]
    [InlineData("{{ \"}}\" }}", "}}")]
    [InlineData("{{ time.format('yyyy') }}/{{ key }}.txt", "2026/k1.txt")]
    [InlineData("{{ data.text }}", "Grüße 😀!")]
    public void Render_Template_Text(string template, string expected) =>
        Template.Compile(template).Render(ExpressionTests.Sample()).ShouldBe(expected);

    [Fact]
    public void Render_Missing_ByTheRule()
    {
        var template = Template.Compile("[{{ data.nope }}{{ data.none }}]");
        Should.Throw<ItemException>(() => template.Render(ExpressionTests.Sample())).Code.ShouldBe("missing_field");
        template.With(MissingRule.Empty).Render(ExpressionTests.Sample()).ShouldBe("[]");
        Should.Throw<ItemException>(() => Template.Compile("{{ 1 / data.zero }}", MissingRule.Empty).Render(ExpressionTests.Sample())).Code.ShouldBe("expression_error");
    }

    [Theory]
    [InlineData("ab {{ dta.x }}", 1, 7, "did you mean \"data\"?")]
    [InlineData("ab\n{{ 1 +", 2, 7, "ends where a value is expected")]
    [InlineData("{{ data.x }", 1, 11, "\"}}\"")]
    [InlineData("{{ data.x", 1, 10, "\"}}\"")]
    [InlineData("x{{}}", 1, 2, "an expression is expected")]
    [InlineData("{{ data.a data.b }}", 1, 11, "or an operator")]
    public void Compile_Wrong_LineAndColumn(string template, int line, int column, string reason)
    {
        var error = Should.Throw<ExpressionException>(() => Template.Compile(template));
        error.Message.ShouldContain(reason);
        (error.Line, error.Column).ShouldBe((line, column));
    }

    [Fact]
    public void Equals_SameText_Equal()
    {
        Template.Compile("a {{ id }}").ShouldBe(Template.Compile("a {{ id }}"));
        Template.Compile("a {{ id }}").ShouldNotBe(Template.Compile("a {{ id }}", MissingRule.Empty));
        Expression.Compile("id").ShouldBe(Expression.Compile("id"));
    }
}
