namespace Loom.Core.Settings;

/// <summary>A setting whose value is a <typeparamref name="T"/>; read with <see cref="SettingsSnapshot.Get{T}"/>.</summary>
public sealed class Setting<T> : Setting
    where T : notnull
{
    internal Setting(SettingKind kind, string key, string description, SettingTexts texts, ValueParser parse, Func<object, string> text)
        : base(kind, key, description, texts, parse, text)
    {
    }
}
