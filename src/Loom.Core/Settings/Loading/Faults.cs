namespace Loom.Core.Settings;

/// <summary>Builds faults with their place, so that every kind of source is told in the same way.</summary>
internal static class Faults
{
    /// <summary>A fault in the project file, with its line.</summary>
    public static Fault At(FilePlace place, FaultCode code, string? key, string message, string? fix, FaultSeverity severity = FaultSeverity.Error, string? rule = null)
    {
        var (line, caret, length) = place.Shown();
        return new Fault
        {
            Severity = severity,
            Code = code,
            Key = key,
            Source = place.Source(null),
            Message = message,
            Fix = fix,
            Rule = rule,
            Line = line,
            Caret = caret,
            Length = length,
            FileOrder = 0,
        };
    }

    /// <summary>A fault of a given value, wherever it was given.</summary>
    public static Fault Of(GivenValue given, FaultCode code, string message, string? fix, FaultSeverity severity = FaultSeverity.Error, string? rule = null)
    {
        var key = KeyText.Join(given.Parts);
        if (given.Place is { } place)
        {
            return At(place, code, given.Spelled is { } spelled ? KeyText.Join(spelled) : key, message, fix, severity, rule) with
            {
                SettledKey = key,
                Value = Shown(given),
                Allowed = Allowed(given.Setting, code),
            };
        }

        return new Fault
        {
            Severity = severity,
            Code = code,
            Key = key,
            Variable = given.Source.Name,
            Value = Shown(given),
            Source = given.Source,
            Message = message,
            Allowed = Allowed(given.Setting, code),
            Fix = fix,
            Rule = rule,
            FileOrder = given.FileOrder,
        };
    }

    /// <summary>A value that could not be read, with a way out.</summary>
    public static Fault Misread(GivenValue given, Judgement judgement)
    {
        var setting = given.Setting;
        var nearest = setting.Kind == SettingKind.Enum ? Nearest.Of(given.Raw.ToString(), setting.Allowed.Split(';')) : null;
        var suggestion = nearest ?? (given.Place is not null && setting.Default.AsSpan().IndexOfAny("{|?") < 0 && !setting.IsRequired ? setting.Default : "");
        var fix = suggestion.Length == 0 ? null
            : given.Place is not null ? $"{KeyText.Quoted((given.Spelled ?? given.Parts)[^1])} = {TomlLiteral.Of(setting.Kind, suggestion)}"
            : $"{given.Source.Name}={suggestion}";
        return Of(given, judgement.Code, judgement.Message, fix);
    }

    /// <summary>Where a value was given, in words: <c>environment</c>, <c>.env:3</c>, <c>loom.toml:4</c>, <c>command line</c>.</summary>
    public static string Where(SettingSource source) => source.Layer switch
    {
        SettingLayer.CommandLine => "command line",
        SettingLayer.Environment => "environment",
        _ when source.File is not null => FormattableString.Invariant($"{source.File}:{source.Line}"),
        var layer => layer.ToString().ToLowerInvariant(),
    };

    /// <summary><c>NAME="value" (environment)</c>, the value redacted where secret.</summary>
    public static string Told(GivenValue given) => $"{given.Source.Name}={Quoted(given)} ({Where(given.Source)})";

    private static string Quoted(GivenValue given) => given.Setting.IsSecret ? Shown(given) : $"\"{Shown(given)}\"";

    private static string Shown(GivenValue given) => Redaction.Shown(given);

    private static string? Allowed(Setting setting, FaultCode code) =>
        code is FaultCode.NotOneOf or FaultCode.Range or FaultCode.Type ? setting.Kind is SettingKind.Enum ? setting.Allowed : Expectation.Of(setting) : null;
}
