using Loom.Harness.Components.BuiltIns.Transform;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class ExtractTests
{
    [Theory]
    [InlineData("<html><head><title> A &amp; B </title><style>p{}</style></head><body><h1>Head</h1><p>One <b>two</b>\n three&nbsp;four</p><script>x<y</script><p>Five<br>six</p></body></html>",
        "Head\n\nOne two three four\n\nFive\nsix", "A & B")]
    [InlineData("<ul><li>a</li><li>b <i>c</i></li></ul>after", "- a\n- b c\n\nafter", null)]
    [InlineData("<table><tr><th>h</th><th>i</th></tr><tr><td>1</td><td>2</td></tr></table>", "h\ti\n1\t2", null)]
    [InlineData("<pre>a\n  b</pre>c", "a\n  b\n\nc", null)]
    [InlineData("a < b &lt;c&gt; <!-- no > --> d", "a < b <c> d", null)]
    [InlineData("<a title=\"x>y\" href='z'>link</a> text", "link text", null)]
    [InlineData("<p>unclosed <b>bold", "unclosed bold", null)]
    [InlineData("<script>never ends", "", null)]
    [InlineData("plain", "plain", null)]
    [InlineData("", "", null)]
    public void Html_Page_ReadableText(string html, string text, string? title) => HtmlText.Of(html).ShouldBe((text, title));

    [Theory]
    [InlineData("---\ntitle: \"My page\"\n---\n# Head\nText **bold** and *it* `code` [link](http://x) ![pic](y.png).\n", "Head\n\nText bold and it code link pic.", "My page")]
    [InlineData("# First #\n\n- a\n* b\n  + c\n\n> quoted\n\n***\n\n1. one", "First\n\n- a\n- b\n  - c\n\nquoted\n\n1. one", "First")]
    [InlineData("Title\n=====\nbody", "Title\nbody", "Title")]
    [InlineData("```cs\nvar *a* = b;\n```\nafter", "var *a* = b;\nafter", null)]
    [InlineData("| a | b |\n|---|---|\n| 1 | 2 |", "a\tb\n1\t2", null)]
    [InlineData("snake_case_name and 2 * 3 * 4 and \\*no\\* &amp; <br> ~~gone~~", "snake_case_name and 2 * 3 * 4 and *no* &  gone", null)]
    [InlineData("[ref]: http://x\nsee [it][ref] <http://y>", "see it http://y", null)]
    public void Markdown_Document_ReadableText(string markdown, string text, string? title) => MarkdownText.Of(markdown).ShouldBe((text, title));

    [Fact]
    public async Task Extract_Auto_ByNameThenByLooks()
    {
        var extract = new ExtractTransformer(new ExtractOptions());
        (await extract.Give("""{"path":"a/b.md","text":"# T\nx"}""")).ShouldBe(["src:0:0/0 {\"path\":\"a/b.md\",\"text\":\"T\\n\\nx\",\"title\":\"T\"}"]);
        (await extract.Give("""{"text":"<!DOCTYPE html><p>x</p>"}""")).ShouldBe(["src:0:0/0 {\"text\":\"x\"}"]);
        (await extract.Give("""{"name":"b.txt","text":"<p>\r\n"}""")).ShouldBe(["src:0:0/0 {\"name\":\"b.txt\",\"text\":\"<p>\\n\"}"]);
        (await new ExtractTransformer(new ExtractOptions { SkipEmpty = true }).Give("""{"text":" "}""")).ShouldBeEmpty();
    }

    [Fact]
    public void HtmlAndMarkdown_AnyText_EndAndThrowNothing()
    {
        var random = new Random(3);
        string[] parts = ["<", ">", "</p>", "<p", "<script>", "</script", "&amp", "&#x;", "\"", "'", "=", "*", "_", "`", "```", "[", "](", "!", "#", "|", "-", "\n", " ", "a", "<!--", "-->", "😀", "\ud83d", "<title>", "---\n"];
        for (var i = 0; i < 2000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => parts[random.Next(parts.Length)]));
            HtmlText.Of(text).Text.ShouldNotBeNull();
            MarkdownText.Of(text).Text.ShouldNotBeNull();
        }
    }
}
