using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>The JSON of <c>loom config</c>. Every document begins with <c>schema: 1</c>; no secret stands in any.</summary>
internal static class ConfigJson
{
    private static readonly JsonWriterOptions s_options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Check(LoadResult result) => Document(json =>
    {
        json.WriteBoolean("ok", result.Ok);
        json.WriteString("profile", ProfileName(result.Snapshot.Profile));
        json.WriteString("mode", ModeName(result.Snapshot));
        Faults(json, "errors", result, FaultSeverity.Error);
        Faults(json, "warnings", result, FaultSeverity.Warning);
    });

    public static string Show(SettingsSnapshot snapshot, IEnumerable<ShownSetting> settings) => Document(json =>
    {
        json.WriteString("profile", ProfileName(snapshot.Profile));
        json.WriteString("mode", ModeName(snapshot));
        json.WriteString("project", snapshot.ProjectFolder);
        json.WriteStartArray("settings");
        foreach (var shown in settings)
        {
            json.WriteStartObject();
            json.WriteString("key", shown.Key);
            Value(json, "value", shown);
            json.WriteString("unit", shown.Setting.Unit);
            Source(json, "source", shown.Value.Source);
            json.WriteString("default", shown.Setting.Default);
            json.WriteBoolean("secret", shown.Setting.IsSecret);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public static string Explain(LoadResult result, ShownSetting shown) => Document(json =>
    {
        foreach (var (column, text) in ReferenceRows.Cells(shown.Setting))
        {
            // `source` is where the value comes from; the text that names the setting is its origin.
            json.WriteString(column is "source" ? "origin" : column, text);
        }

        Value(json, "value", shown);
        Source(json, "source", shown.Value.Source);
        json.WriteStartArray("layers");
        foreach (var (source, value, wins) in shown.Layers(result))
        {
            json.WriteStartObject();
            Source(json, "source", source);
            json.WriteString("value", value);
            json.WriteBoolean("wins", wins);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public static string Env(IEnumerable<EnvLine> variables) => Document(json =>
    {
        json.WriteStartArray("variables");
        foreach (var variable in variables)
        {
            json.WriteStartObject();
            json.WriteString("name", variable.Name);
            json.WriteString("key", variable.Key);
            json.WriteBoolean("set", variable.Source is not null);
            if (variable.Source is { } source)
            {
                Source(json, "source", source);
            }
            else
            {
                json.WriteNull("source");
            }

            json.WriteString("value", variable.Value);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public static string ProfileName(SettingsProfile profile) => profile == SettingsProfile.Cloud ? "cloud" : "home";

    public static string ModeName(SettingsSnapshot settings) => settings.TestMode ? "test" : "production";

    /// <summary>A value by its type: numbers in the unit of the setting, lists as arrays, secrets redacted, unset as null.</summary>
    public static void Value(Utf8JsonWriter json, string name, ShownSetting shown)
    {
        json.WritePropertyName(name);
        switch (shown.Value.Value)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case ImmutableArray<string> items:
                Array(json, items.Select(i => LateReference.Shown(shown.Safe(i))));
                break;
            case FreeValue free:
                free.Map(text => LateReference.Shown(shown.Safe(text))).WriteTo(json);
                break;
            case ImmutableArray<long> items:
                json.WriteStartArray();
                foreach (var item in items)
                {
                    json.WriteNumberValue(item);
                }

                json.WriteEndArray();
                break;
            case ImmutableArray<Uri> items:
                Array(json, items.Select(i => shown.Safe(i.OriginalString)));
                break;
            case (long or double or TimeSpan) and var number:
                json.WriteRawValue(shown.Setting.Text(number), skipInputValidation: false);
                break;
            default:
                json.WriteStringValue(shown.Text);
                break;
        }
    }

    public static string Document(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, s_options))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            write(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Faults(Utf8JsonWriter json, string name, LoadResult result, FaultSeverity severity)
    {
        json.WriteStartArray(name);
        foreach (var fault in result.Faults.Where(f => f.Severity == severity))
        {
            json.WriteStartObject();
            json.WriteString("severity", severity == FaultSeverity.Error ? "error" : "warning");
            json.WriteString("code", string.Create(CultureInfo.InvariantCulture, $"CFG{(int)fault.Code:000}"));
            Optional(json, "key", fault.Key);
            Optional(json, "variable", fault.Variable);
            Optional(json, "value", fault.Value);
            if (fault.Source is { } source)
            {
                Source(json, "source", source);
            }

            Optional(json, "message", fault.Message);
            Optional(json, "allowed", fault.Allowed);
            Optional(json, "rule", fault.Rule);
            Optional(json, "fix", fault.Fix);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Source(Utf8JsonWriter json, string name, SettingSource source)
    {
        json.WriteStartObject(name);
        json.WriteString("layer", SourceText.Layer(source.Layer));
        Optional(json, "name", source.Name);
        Optional(json, "file", source.File);
        if (source.Line > 0)
        {
            json.WriteNumber("line", source.Line);
            json.WriteNumber("column", source.Column);
        }

        json.WriteEndObject();
    }

    private static void Optional(Utf8JsonWriter json, string name, string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            json.WriteString(name, text);
        }
    }

    private static void Array(Utf8JsonWriter json, IEnumerable<string> items)
    {
        json.WriteStartArray();
        foreach (var item in items)
        {
            json.WriteStringValue(item);
        }

        json.WriteEndArray();
    }
}
