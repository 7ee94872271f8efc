using Loom.Node.Demo;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Demo;

public sealed class BigramTableTests
{
    private static readonly DemoText s_text = DemoText.Bundled();
    private static readonly DemoVocabulary s_vocabulary = new(s_text.Words);
    private static readonly BigramTable s_table = new(s_text, s_vocabulary);

    [Fact]
    public void Column_EveryClass_SumsToOne()
    {
        for (var @class = 0; @class < s_vocabulary.ClassCount; @class++)
        {
            var total = Column(@class).Sum(units => Math.Exp((units - 127) / (double)BigramTable.Unit));
            total.ShouldBe(1, 0.06, $"class {@class}"); // each entry is rounded to a sixteenth
        }
    }

    [Fact]
    public void Column_FollowedGreedily_EndsFromEveryWord()
    {
        // A request without max_tokens and with temperature 0 must not run until the context is full.
        for (var @class = 0; @class < s_vocabulary.ClassCount; @class++)
        {
            var seen = new HashSet<int>();
            for (var at = @class; ;)
            {
                seen.Add(at).ShouldBeTrue($"a loop begins at class {@class}");
                var column = Column(at);
                var best = Array.IndexOf(column, column.Max());
                if (best == DemoVocabulary.End)
                {
                    break;
                }

                at = s_vocabulary.TokenClasses[best];
            }
        }
    }

    [Fact]
    public void Vocabulary_Tokens_AreDistinctAndHoldAllBytes()
    {
        s_vocabulary.Tokens.Distinct(StringComparer.Ordinal).Count().ShouldBe(s_vocabulary.Tokens.Count);
        s_vocabulary.Tokens.Skip(2).Take(256).ShouldAllBe(token => token.Length == 1);
    }

    private static sbyte[] Column(int @class)
    {
        var column = new sbyte[s_vocabulary.Tokens.Count];
        s_table.Column(@class, column);
        return column;
    }
}
