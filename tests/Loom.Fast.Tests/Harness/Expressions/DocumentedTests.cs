using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Components;
using Loom.Harness.Expressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Expressions;

public sealed partial class DocumentedTests
{
    [Fact]
    public void Page_EveryExample_GivesWhatItSays()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "expressions.md"));
        var payload = JsonElement.Parse(page[(page.IndexOf("```json", StringComparison.Ordinal) + 7)..page.LastIndexOf("```", StringComparison.Ordinal)]);
        var e = new Event<JsonElement>(EventId.Root("src:0", 0), payload, "u7", new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero));
        var (examples, templates) = (0, 0);
        var inTemplates = false;
        foreach (var line in page[page.IndexOf("## Values", StringComparison.Ordinal)..].Split('\n'))
        {
            inTemplates = line.StartsWith("## ", StringComparison.Ordinal) ? line == "## Templates" : inTemplates;
            if (Example().Match(line) is not { Success: true } row)
            {
                continue;
            }

            var (text, gives) = (row.Groups[1].Value, row.Groups[2].Value);
            if (inTemplates)
            {
                templates++;
                Template.Compile(text).Render(e).ShouldBe(gives.Trim('`'), text);
            }
            else if (gives == "an error")
            {
                Should.Throw<Exception>(() => Expression.Compile(text).Evaluate(e), text).ShouldBeOfType<ExpressionException, ItemException>();
            }
            else
            {
                examples++;
                var result = Expression.Compile(text).Evaluate(e);
                JsonElement.DeepEquals(result, JsonElement.Parse(gives.Trim('`'))).ShouldBeTrue($"{text} gives {result.GetRawText()}");
            }
        }

        examples.ShouldBeGreaterThan(35);
        templates.ShouldBe(3);
    }

    [GeneratedRegex(@"^\| `(.+?)` \| (`.+`|an error) \|$")]
    private static partial Regex Example();
}

file static class Either
{
    public static void ShouldBeOfType<TFirst, TSecond>(this Exception error) => (error is TFirst or TSecond).ShouldBeTrue(error.ToString());
}
