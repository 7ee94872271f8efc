namespace Loom.Core.Settings;

/// <summary>A closed list of names and what they stand for.</summary>
internal sealed class Choices(string[] names, object[] values)
{
    public Judgement Parse(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind is not (RawKind.Text or RawKind.Boolean))
        {
            return ScalarParsers.Type(setting);
        }

        var text = raw.ToString().Trim();
        var at = Array.FindIndex(names, n => string.Equals(n, text, StringComparison.OrdinalIgnoreCase));
        return at >= 0 ? Judgement.Good(values[at]) : text.Length == 0 ? ScalarParsers.Empty() : ScalarParsers.Type(setting);
    }

    public string Text(object value) => names[Array.FindIndex(values, v => v.Equals(value))];
}
