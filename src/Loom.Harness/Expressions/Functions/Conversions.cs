using System.Globalization;
using System.Text.Json;

namespace Loom.Harness.Expressions.Functions;

/// <summary><c>int double string bool timestamp duration json size</c>.</summary>
internal static class Conversions
{
    public static IReadOnlyList<Function> All { get; } =
    [
        Function.Of("int", Style.Global, Kind.Int, Kind.Int, static (in a) => a),
        Function.Of("int", Style.Global, Kind.Double, Kind.Int, static (in a) => Truncate(a.Double)),
        Function.Of("int", Style.Global, Kind.String, Kind.Int, static (in a) => ParseInt(a.String)),
        Function.Of("int", Style.Global, Kind.Timestamp, Kind.Int, static (in a) => Value.Of(a.Timestamp.ToUnixTimeSeconds())),
        Function.Of("double", Style.Global, Kind.Double, Kind.Double, static (in a) => a),
        Function.Of("double", Style.Global, Kind.Int, Kind.Double, static (in a) => Value.Of((double)a.Int)),
        Function.Of("double", Style.Global, Kind.String, Kind.Double, static (in a) => ParseDouble(a.String)),
        Function.Of("string", Style.Global, Kind.Any, Kind.String, static (in a) => ToText(a)),
        Function.Of("bool", Style.Global, Kind.Bool, Kind.Bool, static (in a) => a),
        Function.Of("bool", Style.Global, Kind.String, Kind.Bool, static (in a) => a.String switch
        {
            "true" => Value.True,
            "false" => Value.False,
            var text => NotA("bool", text, "true and false are"),
        }),
        Function.Of("timestamp", Style.Global, Kind.Timestamp, Kind.Timestamp, static (in a) => a),
        Function.Of("timestamp", Style.Global, Kind.String, Kind.Timestamp, static (in a) =>
            TimeText.TryParseTimestamp(a.String, out var time) ? Value.Of(time) : NotA("timestamp", a.String, "2026-01-31T12:00:00Z is")),
        Function.Of("timestamp", Style.Global, Kind.Int, Kind.Timestamp, static (in a) => FromUnix(a.Int)),
        Function.Of("timestamp", Style.Global, Kind.Double, Kind.Timestamp, static (in a) => FromUnix(a.Double)),
        Function.Of("duration", Style.Global, Kind.Duration, Kind.Duration, static (in a) => a),
        Function.Of("duration", Style.Global, Kind.String, Kind.Duration, static (in a) =>
            TimeText.TryParseDuration(a.String, out var span) ? Value.Of(span) : NotA("duration", a.String, "1h30m, 500ms or 2d are")),
        Function.Of("json", Style.Global, Kind.String, Kind.Any, static (in a) => ParseJson(a.String)),
        Function.Of("size", Style.Both, Kind.String, Kind.Int, static (in a) => Value.Of(TextFunctions.Length(a.String))),
        Function.Of("size", Style.Both, Kind.List, Kind.Int, static (in a) => Value.Of((long)a.Count)),
        Function.Of("size", Style.Both, Kind.Map, Kind.Int, static (in a) => Value.Of((long)a.Count)),
    ];

    private static Value Truncate(double value) =>
        value > -9223372036854777856.0 && value < 9223372036854775808.0
            ? Value.Of((long)value)
            : Value.Error($"{value.ToString("R", CultureInfo.InvariantCulture)} does not fit into an int of 64 bits");

    private static Value ParseInt(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? Value.Of(value) : NotA("int", text, "42 is");

    private static Value ParseDouble(string text) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var value)
        && double.IsFinite(value) ? Value.Of(value) : NotA("double", text, "4.2 is");

    private static Value ParseJson(string text)
    {
        try
        {
            return Value.Of(JsonElement.Parse(text));
        }
        catch (JsonException e)
        {
            return Value.Error($"the text given to json() is not JSON: {e.Message}");
        }
    }

    private static Value ToText(in Value value) =>
        ValueText.TryOf(value, out var text) ? Value.Of(text) : Value.Error("a double that is no number has no text in JSON");

    private static Value FromUnix(double seconds) => seconds is >= -62135596800.0 and < 253402300800.0
        ? Value.Of(DateTimeOffset.UnixEpoch.AddTicks((long)(seconds * TimeSpan.TicksPerSecond)))
        : Value.Error($"{seconds.ToString("R", CultureInfo.InvariantCulture)} seconds after 1970 lie outside the years 1 to 9999; are these milliseconds?");

    private static Value FromUnix(long seconds) => seconds is >= -62135596800 and < 253402300800
        ? Value.Of(DateTimeOffset.FromUnixTimeSeconds(seconds))
        : Value.Error($"{seconds.ToString(CultureInfo.InvariantCulture)} seconds after 1970 lie outside the years 1 to 9999; are these milliseconds?");

    private static Value NotA(string kind, string text, string example) =>
        Value.Error($"\"{(text.Length > 60 ? text[..60] + "..." : text)}\" is no {kind}, as {example}");
}
