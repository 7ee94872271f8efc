using System.Globalization;

namespace Loom.Core.Settings;

/// <summary>Readers of single values. Each takes text from any layer and the native TOML forms that the kind allows.</summary>
internal static class ScalarParsers
{
    public static Judgement Bool(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind == RawKind.Boolean)
        {
            return Judgement.Good(raw.Boolean);
        }

        if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }

        var text = raw.Text.AsSpan().Trim();
        return text.IsEmpty ? Empty()
            : text is "1" || Is(text, "true") || Is(text, "yes") || Is(text, "on") ? Judgement.Good(true)
            : text is "0" || Is(text, "false") || Is(text, "no") || Is(text, "off") ? Judgement.Good(false)
            : Type(setting);
    }

    public static Judgement Int(Setting setting, RawValue raw, in ParseContext context)
    {
        long value;
        if (raw.Kind == RawKind.Integer)
        {
            value = raw.Integer;
        }
        else if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }
        else
        {
            var text = raw.Text.AsSpan().Trim();
            if (text.IsEmpty)
            {
                return Empty();
            }

            if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value))
            {
                // All digits but too many is out of range, not of another type.
                return text.TrimStart("+-").IndexOfAnyExceptInRange('0', '9') < 0 && text.Length > 10 ? Range(setting) : Type(setting);
            }
        }

        return Inside(setting, value) ? Judgement.Good(value) : Range(setting);
    }

    public static Judgement Float(Setting setting, RawValue raw, in ParseContext context)
    {
        double value;
        switch (raw.Kind)
        {
            case RawKind.Float:
                value = raw.Float;
                break;
            case RawKind.Integer:
                value = raw.Integer;
                break;
            case RawKind.Text:
                var text = raw.Text.AsSpan().Trim();
                if (text.IsEmpty)
                {
                    return Empty();
                }

                const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
                if (text.IndexOfAnyExcept("0123456789+-.eE") >= 0 || !double.TryParse(text, Style, CultureInfo.InvariantCulture, out value))
                {
                    return Type(setting);
                }

                break;
            default:
                return Type(setting);
        }

        if (!double.IsFinite(value))
        {
            return Type(setting);
        }

        return (setting.LowerBound is null || value >= (double)setting.LowerBound) && (setting.UpperBound is null || value <= (double)setting.UpperBound)
            ? Judgement.Good(value)
            : Range(setting);
    }

    public static Judgement Duration(Setting setting, RawValue raw, in ParseContext context)
    {
        if (UnitText(raw) is not { } text)
        {
            return Type(setting);
        }

        if (text.Length == 0)
        {
            return Empty();
        }

        if (Units.Duration(text, setting.Unit) is not { } milliseconds || milliseconds != decimal.Truncate(milliseconds))
        {
            return Type(setting);
        }

        return Inside(setting, milliseconds / Units.Milliseconds(setting.Unit)) && milliseconds < 9e14m
            ? Judgement.Good(TimeSpan.FromTicks((long)milliseconds * TimeSpan.TicksPerMillisecond))
            : Range(setting);
    }

    public static Judgement Size(Setting setting, RawValue raw, in ParseContext context)
    {
        if (UnitText(raw) is not { } text)
        {
            return Type(setting);
        }

        if (text.Length == 0)
        {
            return Empty();
        }

        if (Units.Size(text, setting.Unit) is not { } bytes || bytes != decimal.Truncate(bytes))
        {
            return Type(setting);
        }

        return Inside(setting, bytes / Units.Bytes(setting.Unit)) && bytes <= long.MaxValue ? Judgement.Good((long)bytes) : Range(setting);
    }

    public static Judgement Text(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }

        // Characters as a person counts them, not UTF-16 units.
        var length = 0;
        foreach (var rune in raw.Text.EnumerateRunes())
        {
            _ = rune;
            length++;
        }

        return Inside(setting, length) ? Judgement.Good(raw.Text) : Range(setting);
    }

    public static Judgement Path(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }

        var text = raw.Text.Trim();
        return text.Length == 0 ? Empty() : text.Contains('\0', StringComparison.Ordinal) ? Type(setting) : Judgement.Good(PathText.Full(text, context));
    }

    public static Judgement Url(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }

        var text = raw.Text.Trim();
        return text.Length == 0 ? Empty() : UrlText.TryParse(text, setting.Allowed) is { } url ? Judgement.Good(url) : Type(setting);
    }

    public static Judgement Address(Setting setting, RawValue raw, in ParseContext context)
    {
        if (raw.Kind == RawKind.Integer)
        {
            return Judgement.Bad(FaultCode.Type, $"expected host:port, for example 127.0.0.1:{raw}");
        }

        if (raw.Kind != RawKind.Text)
        {
            return Type(setting);
        }

        var text = raw.Text.Trim();
        if (text.Length == 0)
        {
            return Empty();
        }

        if (HostPort.TryParse(text) is { } address)
        {
            return Judgement.Good(address);
        }

        var port = text.AsSpan().TrimStart(':');
        return port.Length is > 0 and < 6 && port.IndexOfAnyExceptInRange('0', '9') < 0
            ? Judgement.Bad(FaultCode.Type, $"expected host:port, for example 127.0.0.1:{port}")
            : Judgement.Bad(FaultCode.Type, "expected host:port, for example 127.0.0.1:8080 or [::1]:8080");
    }

    public static Judgement Type(Setting setting) => Judgement.Bad(setting.Kind == SettingKind.Enum ? FaultCode.NotOneOf : FaultCode.Type, Expectation.Of(setting));

    public static Judgement Range(Setting setting) => Judgement.Bad(FaultCode.Range, Expectation.Of(setting));

    public static Judgement Empty() => Judgement.Bad(FaultCode.Empty, "must not be empty; leave it out to get the default");

    public static bool Inside(Setting setting, decimal value) =>
        (setting.LowerBound is not { } low || value >= low) && (setting.UpperBound is not { } high || value <= high);

    private static bool Is(ReadOnlySpan<char> text, string word) => text.Equals(word, StringComparison.OrdinalIgnoreCase);

    private static string? UnitText(RawValue raw) => raw.Kind switch
    {
        RawKind.Text => raw.Text.Trim(),
        RawKind.Integer => raw.ToString(),

        // A double prints its shortest digits, which are what the user wrote.
        RawKind.Float when double.IsFinite(raw.Float) && Math.Abs(raw.Float) < 1e15 => raw.Float.ToString("0.####################", CultureInfo.InvariantCulture),
        _ => null,
    };
}
