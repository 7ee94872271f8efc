using System.Globalization;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>schema_version</c>: the version of the files' own format.</summary>
internal static class SchemaVersionText
{
    /// <summary>The format this program writes and reads; an older or newer minor is read too.</summary>
    public const string Current = "1.0.0";

    public static void Check(KeyReader keys, YamlMapping root, FindingList findings)
    {
        if (keys.Required("schema_version", root) is not { } text)
        {
            return;
        }

        var at = keys.At("schema_version", root);
        if (text.Split('.') is [_, _] && SystemPlanner.Version().IsMatch(text + ".0"))
        {
            findings.Warning(Codes.ShortVersion, at, $"schema_version {text} is read as {text}.0; write \"{text}.0\"");
            text += ".0";
        }

        if (!SystemPlanner.Version().IsMatch(text))
        {
            findings.Error(Codes.BadVersion, at, $"schema_version {Redaction.Plain(text)} is not x.y.z; write \"{Current}\"");
        }
        else if (!long.TryParse(text.AsSpan(0, text.IndexOf('.', StringComparison.Ordinal)), NumberStyles.None, CultureInfo.InvariantCulture, out var major) || major > 1)
        {
            findings.Error(Codes.BadVersion, at, $"schema_version {text} is of a newer Loom; this one reads up to 1.x, so update loom or write \"{Current}\"");
        }
    }
}
