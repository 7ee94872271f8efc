using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Core.Settings;

/// <summary>
/// One row of the registry: a name the user may set, and all that is known about it. The texts are those of the settings list; what is stated there
/// once (mechanical variable names, the system, the markers in the description) is derived here once.
/// </summary>
public abstract partial class Setting
{
    private const string NotInFile = "Not in loom.toml.";
    private readonly ValueParser _parse;
    private readonly Func<object, string> _text;

    private protected Setting(SettingKind kind, string key, string description, SettingTexts texts, ValueParser parse, Func<object, string> text)
    {
        _parse = parse;
        _text = text;
        Kind = kind;
        Key = key;
        Description = description;
        Segments = [.. key.Split('.')];
        Variables = texts.Variables is { } given ? [.. given] : SettingNames.Mechanical(key);
        System = SettingNames.SystemOf(key);
        Default = texts.Default;
        DefaultCloud = texts.Cloud;
        DefaultTest = Marker(description);
        Min = texts.Min;
        Max = texts.Max;
        Allowed = texts.Allowed;
        Unit = texts.Unit;
        Source = texts.Source;
        IsSecret = texts.Secret;
        InFile = !description.Contains(NotInFile, StringComparison.Ordinal);
        LowerBound = Bound(Min);
        UpperBound = Bound(Max);
    }

    /// <summary>Grammar of the value.</summary>
    public SettingKind Kind { get; }

    /// <summary>Dotted key, which is the place in <c>loom.toml</c>; <c>*</c> stands for a name the user chooses.</summary>
    public string Key { get; }

    /// <summary><see cref="Key"/> in parts.</summary>
    public ImmutableArray<string> Segments { get; }

    /// <summary>Environment names, the preferred one first; empty when only the file and <c>--set</c> can set it.</summary>
    public ImmutableArray<string> Variables { get; }

    /// <summary>Default in HOME and production mode as text; empty = unset, <c>required</c> = must be given once its table exists.</summary>
    public string Default { get; }

    /// <summary>Default where CLOUD differs; empty = the same, <c>required</c> = a rule asks for it.</summary>
    public string DefaultCloud { get; }

    /// <summary>Default where test mode differs, or null.</summary>
    public string? DefaultTest { get; }

    /// <summary>Smallest value, inclusive, in <see cref="Unit"/>; for text its length; for lists each numeric item. Empty = none.</summary>
    public string Min { get; }

    /// <summary>Largest value, as <see cref="Min"/>.</summary>
    public string Max { get; }

    /// <summary>Closed list of an enum or the schemes of a url, joined by <c>;</c>; else a note on the grammar.</summary>
    public string Allowed { get; }

    /// <summary>What a bare number means, or the item type of a list.</summary>
    public string Unit { get; }

    /// <summary>The source text that names the setting, or <c>decision</c>.</summary>
    public string Source { get; }

    /// <summary>One line for people, markers included.</summary>
    public string Description { get; }

    /// <summary>Whether the value is never shown and may not stand on a command line.</summary>
    public bool IsSecret { get; }

    /// <summary>The system the setting belongs to: shared, serving, agents, harness, reasoning or research.</summary>
    public string System { get; }

    /// <summary>Whether <c>loom.toml</c> may hold it.</summary>
    public bool InFile { get; }

    /// <summary>Whether the key holds a name chosen by the user.</summary>
    public bool IsStarred => Key.Contains('*', StringComparison.Ordinal);

    /// <summary>Whether the key must be given once its table exists.</summary>
    public bool IsRequired => string.Equals(Default, "required", StringComparison.Ordinal);

    /// <summary>Whether its variable means the opposite of the key (<c>LOOM_PREFER_DEBUG</c> is <c>runtime.prefer_release</c> turned round).</summary>
    internal bool VariableIsInverted { get; init; }

    /// <summary>Whether the first variable wins over the others without a conflict, because other programs read those too.</summary>
    internal bool FirstVariableWins { get; init; }

    /// <summary>Whether a list may be a switch, see <see cref="Selection"/>.</summary>
    internal bool IsSelection { get; init; }

    /// <summary>Whether any value is taken as it stands, see <see cref="Free"/>.</summary>
    internal bool IsFree { get; init; }

    internal decimal? LowerBound { get; }

    internal decimal? UpperBound { get; }

    /// <summary>Reads one given value. Pure: everything it depends on is in its arguments.</summary>
    internal Judgement Parse(RawValue raw, in ParseContext context) => _parse(this, raw, context);

    /// <summary>Canonical text of a parsed value, which <see cref="Parse"/> reads back to the same value; secrets give their redacted form. The user part of a url stands in it: what is shown goes through <see cref="Redaction"/>.</summary>
    internal string Text(object value) => _text(value);

    /// <inheritdoc/>
    public override string ToString() => Key;

    private static string? Marker(string description)
    {
        var start = description.IndexOf("[test: ", StringComparison.Ordinal);
        return start < 0 ? null : description[(start + 7)..description.IndexOf(']', start)];
    }

    private static decimal? Bound(string text) => text.Length == 0 ? null : decimal.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
}

/// <summary>Grammar of a setting's value.</summary>
public enum SettingKind
{
    Bool,
    Int,
    Float,
    Duration,
    Size,
    String,
    Enum,
    Path,
    Url,
    HostPort,
    List,
    Set,
}

/// <summary>The optional columns of a row, gathered so that factories stay short.</summary>
internal sealed record SettingTexts(
    string[]? Variables, string Default, string Cloud, string Min, string Max, string Allowed, string Unit, string Source, bool Secret);
