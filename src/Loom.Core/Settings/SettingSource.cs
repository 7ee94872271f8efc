namespace Loom.Core.Settings;

/// <summary>Layers, the highest rank first; the first that gives a value decides.</summary>
public enum SettingLayer
{
    CommandLine,
    Environment,
    EnvFile,
    File,
    Derived,
    Profile,
    Mode,
    Default,
}

/// <summary>Where a value comes from.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Name">Variable, option or key that gave it, or null.</param>
/// <param name="File">File as shown to people, or null.</param>
/// <param name="Line">Line from 1, or 0.</param>
/// <param name="Column">Column from 1 in Unicode characters, or 0.</param>
public sealed record SettingSource(SettingLayer Layer, string? Name = null, string? File = null, int Line = 0, int Column = 0)
{
    /// <summary>The value is the setting's default.</summary>
    public static SettingSource Default { get; } = new(SettingLayer.Default);

    /// <summary>Whether the user gave the value.</summary>
    public bool IsGiven => Layer <= SettingLayer.File;
}
