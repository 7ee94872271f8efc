using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Core.Settings;

// One factory per kind of value. Arguments are the columns of the settings list, as text. `variables` left out = the mechanical name; [] = none.
public abstract partial class Setting
{
    /// <summary>A switch: <c>1 true yes on</c> / <c>0 false no off</c>; <paramref name="inverted"/>: its variable means the opposite of the key.</summary>
    public static Setting<bool> Bool(string key, string description, string @default = "", string cloud = "", string[]? variables = null, string source = "decision",
        bool inverted = false) =>
        new(SettingKind.Bool, key, description, new(variables, @default, cloud, "", "", "", "", source, false), ScalarParsers.Bool, v => (bool)v ? "true" : "false")
        {
            VariableIsInverted = inverted,
        };

    /// <summary>A whole number of 64 bits, in <paramref name="unit"/>.</summary>
    public static Setting<long> Int(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string unit = "", string[]? variables = null, string source = "decision") =>
        new(SettingKind.Int, key, description, new(variables, @default, cloud, min, max, "", unit, source, false), ScalarParsers.Int, Invariant);

    /// <summary>A finite number, in <paramref name="unit"/>.</summary>
    public static Setting<double> Float(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string unit = "", string[]? variables = null, string source = "decision") =>
        new(SettingKind.Float, key, description, new(variables, @default, cloud, min, max, "", unit, source, false), ScalarParsers.Float,
            v => ((double)v).ToString("R", CultureInfo.InvariantCulture));

    /// <summary>A time, whole milliseconds; a bare number counts in <paramref name="unit"/>.</summary>
    public static Setting<TimeSpan> Duration(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string unit = "s", string[]? variables = null, string source = "decision") =>
        new(SettingKind.Duration, key, description, new(variables, @default, cloud, min, max, "", unit, source, false), ScalarParsers.Duration,
            v => (((TimeSpan)v).Ticks / TimeSpan.TicksPerMillisecond / Units.Milliseconds(unit)).ToString("0.###########", CultureInfo.InvariantCulture));

    /// <summary>A number of bytes; a bare number counts in <paramref name="unit"/>.</summary>
    public static Setting<long> Size(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string unit = "B", string[]? variables = null, string source = "decision") =>
        new(SettingKind.Size, key, description, new(variables, @default, cloud, min, max, "", unit, source, false), ScalarParsers.Size,
            v => ((long)v / Units.Bytes(unit)).ToString("0.####################", CultureInfo.InvariantCulture));

    /// <summary>Text as it stands, not trimmed; <paramref name="min"/> and <paramref name="max"/> bound its length.</summary>
    public static Setting<string> String(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.String, key, description, new(variables, @default, cloud, min, max, "", "", source, false), ScalarParsers.Text, Same);

    /// <summary>Text with a grammar of its own, which <paramref name="allowed"/> describes and <paramref name="read"/> decides (null = refused).</summary>
    public static Setting<T> Grammar<T>(string key, string description, string allowed, Func<string, T?> read, Func<T, string> text, string @default = "", string cloud = "",
        string min = "", string max = "", string unit = "", string[]? variables = null, string source = "decision", bool firstVariableWins = false)
        where T : class =>
        new(SettingKind.String, key, description, new(variables, @default, cloud, min, max, allowed, unit, source, false),
            (Setting setting, RawValue raw, in ParseContext context) =>
            {
                var plain = ScalarParsers.Text(setting, raw, context);
                return !plain.Ok ? plain : read((string)plain.Value!) is { } value ? Judgement.Good(value) : ScalarParsers.Type(setting);
            },
            value => text((T)value))
        {
            FirstVariableWins = firstVariableWins,
        };

    /// <summary>Text that is never shown. A line break or another control character in it is a fault.</summary>
    public static Setting<Secret> Hidden(string key, string description, string @default = "", string cloud = "", string min = "", string max = "", string allowed = "",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.String, key, description, new(variables, @default, cloud, min, max, allowed, "", source, true), SecretParser.Parse, v => v.ToString()!);

    /// <summary>An absolute url with one of the <paramref name="schemes"/> that may hold a password, so that it is never shown.</summary>
    public static Setting<Secret> SecretUrl(string key, string description, string schemes, string @default = "", string cloud = "", string[]? variables = null,
        string source = "decision") =>
        new(SettingKind.Url, key, description, new(variables, @default, cloud, "", "", schemes, "", source, true), SecretParser.ParseUrl, v => v.ToString()!);

    /// <summary>One of a closed list, any case. The names, in the order given, are the column <c>allowed</c>.</summary>
    public static Setting<T> Enum<T>(string key, string description, (string Name, T Value)[] names, string @default = "", string cloud = "",
        string[]? variables = null, string source = "decision")
        where T : struct
    {
        // Generic code over an enum is compiled at every start, so as little of it as can be.
        var texts = new string[names.Length];
        var values = new object[names.Length];
        for (var i = 0; i < names.Length; i++)
        {
            texts[i] = names[i].Name;
            values[i] = names[i].Value;
        }

        var choices = new Choices(texts, values);
        return new(SettingKind.Enum, key, description, new(variables, @default, cloud, "", "", string.Join(';', texts), "", source, false), choices.Parse, choices.Text);
    }

    /// <summary>A path, read as absolute: relative ones start from the project, on the command line from the working folder. It need not exist.</summary>
    public static Setting<string> Path(string key, string description, string @default = "", string cloud = "", string[]? variables = null, string source = "decision") =>
        new(SettingKind.Path, key, description, new(variables, @default, cloud, "", "", "", "", source, false), ScalarParsers.Path, Same);

    /// <summary>An absolute url with one of the <paramref name="schemes"/>; read its <see cref="Uri.OriginalString"/> for the text without trailing slash.</summary>
    public static Setting<Uri> Url(string key, string description, string schemes = "http;https", string @default = "", string cloud = "", string[]? variables = null,
        string source = "decision") =>
        new(SettingKind.Url, key, description, new(variables, @default, cloud, "", "", schemes, "", source, false), ScalarParsers.Url, v => ((Uri)v).OriginalString);

    /// <summary>An address <c>host:port</c>.</summary>
    public static Setting<HostPort> Address(string key, string description, string @default = "", string cloud = "", string[]? variables = null, string source = "decision") =>
        new(SettingKind.HostPort, key, description, new(variables, @default, cloud, "", "", "", "", source, false), ScalarParsers.Address, v => v.ToString()!);

    /// <summary>As <see cref="Url"/>, read as text: it may hold references that are known later, see <see cref="LateReference"/>.</summary>
    public static Setting<string> LateUrl(string key, string description, string schemes = "http;https", string source = "decision") =>
        new(SettingKind.Url, key, description, new([], "", "", "", "", schemes, "", source, false), Late(ScalarParsers.Url), Same);

    /// <summary>As <see cref="Address"/>, read as text: it may hold references that are known later, see <see cref="LateReference"/>.</summary>
    public static Setting<string> LateAddress(string key, string description, string source = "decision") =>
        new(SettingKind.HostPort, key, description, new([], "", "", "", "", "", "", source, false), Late(ScalarParsers.Address), Same);

    /// <summary>Any value or table, handed on as it stands.</summary>
    public static Setting<FreeValue> Free(string key, string description, string source = "decision") =>
        new(SettingKind.String, key, description, new([], "", "", "", "", "any value or table", "", source, false),
            static (Setting _, RawValue raw, in ParseContext _) => Judgement.Good(new FreeValue(raw)), static v => ((FreeValue)v).Json)
        {
            IsFree = true,
        };

    /// <summary>An argument vector. One text is one item, whatever stands in it, unless it is a JSON array.</summary>
    public static Setting<ImmutableArray<string>> Command(string key, string description, string source = "decision") =>
        new(SettingKind.List, key, description, new([], "", "", "", "", "", "string", source, false), ListParsers.Command, v => ListParsers.Text((ImmutableArray<string>)v));

    /// <summary>All, none or named ones: <c>true</c> reads as the one item <c>true</c>, <c>false</c> as an empty list.</summary>
    public static Setting<ImmutableArray<string>> Selection(string key, string description, string @default, string source = "decision") =>
        new(SettingKind.List, key, description, new([], @default, "", "", "", "", "string", source, false), ListParsers.Selection, v => ListParsers.Text((ImmutableArray<string>)v))
        {
            IsSelection = true,
        };

    /// <summary>A list of texts, or of paths with unit <c>path</c> (read as absolute). Unset reads as empty.</summary>
    public static Setting<ImmutableArray<string>> List(string key, string description, string @default = "", string cloud = "", string unit = "string",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.List, key, description, new(variables, @default, cloud, "", "", "", unit, source, false), ListParsers.Strings, v => ListParsers.Text((ImmutableArray<string>)v));

    /// <summary>A list of whole numbers; the bounds are those of each item.</summary>
    public static Setting<ImmutableArray<long>> IntList(string key, string description, string @default = "", string cloud = "", string min = "", string max = "",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.List, key, description, new(variables, @default, cloud, min, max, "", "int", source, false), ListParsers.Integers,
            v => string.Join(',', ((ImmutableArray<long>)v).Select(i => Invariant(i))));

    /// <summary>A list of urls with the given schemes.</summary>
    public static Setting<ImmutableArray<Uri>> UrlList(string key, string description, string schemes = "http;https", string @default = "", string cloud = "",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.List, key, description, new(variables, @default, cloud, "", "", schemes, "url", source, false), ListParsers.Urls,
            v => string.Join(',', ((ImmutableArray<Uri>)v).Select(u => u.OriginalString)));

    /// <summary>Distinct texts; items that are all signed (<c>+a,-b</c>) change the default instead of replacing it.</summary>
    public static Setting<ImmutableArray<string>> Set(string key, string description, string @default = "", string cloud = "", string allowed = "",
        string[]? variables = null, string source = "decision") =>
        new(SettingKind.Set, key, description, new(variables, @default, cloud, "", "", allowed, "string", source, false), ListParsers.Strings, v => ListParsers.Text((ImmutableArray<string>)v));

    // The form is judged with a number in the place of each reference.
    private static ValueParser Late(ValueParser parse) => (Setting setting, RawValue raw, in ParseContext context) =>
    {
        var late = raw.Kind == RawKind.Text && LateReference.IsIn(raw.Text);
        var judgement = parse(setting, late ? RawValue.Of(LateReference.Sample(raw.Text)) : raw, context);
        return !judgement.Ok ? judgement : Judgement.Good(late ? raw.Text.Trim() : judgement.Value is Uri url ? url.OriginalString : judgement.Value!.ToString()!);
    };

    private static string Invariant(object value) => ((long)value).ToString(CultureInfo.InvariantCulture);

    private static string Same(object value) => (string)value;
}
