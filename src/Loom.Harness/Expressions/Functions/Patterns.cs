using System.Globalization;
using System.Text.RegularExpressions;

namespace Loom.Harness.Expressions.Functions;

/// <summary>
/// <c>text.matches("pattern")</c>: whether the pattern is found anywhere in the text, in time linear in the text's length. The pattern must be
/// known when the expression is compiled: building one costs more than an event may.
/// </summary>
internal sealed class MatchesNode : Node
{
    private readonly Node _text;
    private readonly Regex _pattern;

    public MatchesNode(Node text, string pattern, string source)
        : base(Kind.Bool, source, text)
    {
        _text = text;
        _pattern = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Regex.InfiniteMatchTimeout);
    }

    public override Value Evaluate(ref Frame frame)
    {
        var value = frame.Step() ? _text.Evaluate(ref frame) : TooManySteps();
        return value.Kind switch
        {
            Kind.String => Value.Of(_pattern.IsMatch(value.String)),
            Kind.Error => value,
            _ => Value.Error($"matches is called on a string, not on {value.Kind.Name()}: {Source}"),
        };
    }
}

/// <summary><c>time.format("yyyy-MM-dd")</c>, in UTC.</summary>
internal sealed class FormatNode : Node
{
    private readonly Node _time;
    private readonly string _pattern;

    public FormatNode(Node time, string pattern, string source)
        : base(Kind.String, source, time)
    {
        _time = time;
        _pattern = pattern;
        // Throws FormatException for what is no pattern.
        _ = Text(DateTimeOffset.UnixEpoch);
    }

    public override Value Evaluate(ref Frame frame)
    {
        var value = frame.Step() ? _time.Evaluate(ref frame) : TooManySteps();
        return value.Kind switch
        {
            Kind.Timestamp => Value.Of(Text(value.Timestamp)),
            Kind.Error => value,
            _ => Value.Error($"format is called on a timestamp, not on {value.Kind.Name()}: {Source}"),
        };
    }

    private string Text(DateTimeOffset time) => time.ToString(_pattern, CultureInfo.InvariantCulture);
}
