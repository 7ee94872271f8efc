namespace Loom.Core.Settings;

/// <summary>A setting whose value is a <typeparamref name="T"/>; read with <see cref="SettingsSnapshot.Get{T}"/>.</summary>
public sealed class Setting<T> : Setting
    where T : notnull
{
    private readonly ValueParser<T> _parse;
    private readonly Func<T, string> _text;

    internal Setting(SettingKind kind, string key, string description, SettingTexts texts, ValueParser<T> parse, Func<T, string> text)
        : base(kind, key, description, texts)
    {
        _parse = parse;
        _text = text;
    }

    internal override Judgement Parse(in RawValue raw, in ParseContext context)
    {
        var result = _parse(this, raw, context);
        return result.Ok ? Judgement.Good(result.Value) : new Judgement(null, result.Code, result.Message);
    }

    internal override string Text(object value) => _text((T)value);
}

/// <summary>Reads a raw value as a <typeparamref name="T"/> under the bounds of a setting.</summary>
internal delegate Reading<T> ValueParser<T>(Setting setting, in RawValue raw, in ParseContext context)
    where T : notnull;
