using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Runtime;

namespace Loom.Agents.Settings;

/// <summary>What makes no sense together in <c>[binaries.*]</c>, and versions that are none.</summary>
public static class BinaryRules
{
    /// <summary>All of them.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [Names, Versions, Sources];

    private static void Names(Draft draft)
    {
        foreach (var name in draft.Names("binaries").Where(n => !BinaryNames.IsName(n)))
        {
            var given = new[] { "path", "url", "version", "sha256" }.Select(k => Draft.Key("binaries", name, k)).FirstOrDefault(draft.IsGiven);
            draft.Report("R19", given ?? Draft.Key("binaries", name), $"'{Redaction.Plain(name)}' is no name of a program: letters, digits, '.', '_' and '-' are expected", "[binaries.tool]");
        }
    }

    private static void Versions(Draft draft)
    {
        Check(draft, BinarySettings.RuntimeVersion.Key, BinarySettings.RuntimeVersion.Key);
        foreach (var name in draft.Names("binaries"))
        {
            Check(draft, Draft.Key("binaries", name, "version"), BinarySettings.Version.Key);
        }
    }

    private static void Check(Draft draft, string key, string pattern)
    {
        if (draft.IsGiven(key) && !draft.IsAtFault(key) && draft.Value<string>(key, pattern) is { } version && version is not BinaryNames.Latest
            && !BinaryNames.IsVersion(version))
        {
            draft.Report("R19", key, $"'{Redaction.Plain(version)}' is no version; an exact one such as 0.1.0 or v0.1.0-alpha.1, or latest, is expected", $"{key} = \"latest\"");
        }
    }

    private static void Sources(Draft draft)
    {
        foreach (var name in draft.Names("binaries"))
        {
            string Of(string key) => Draft.Key("binaries", name, key);
            if (draft.IsGiven(Of("path")) && (draft.IsGiven(Of("url")) || draft.IsGiven(Of("sha256"))))
            {
                draft.Report("R10", Of("path"), "a local copy is used as it stands; a download is described too", "keep path, or url and sha256");
            }
            else if (draft.IsGiven(Of("url")) && draft.Value<string>(Of("version"), BinarySettings.Version.Key) is null or "" or BinaryNames.Latest)
            {
                draft.Report("R10", Of("url"), "an address gives one file, so its version must be named exactly", $"add {Of("version")} = \"1.0.0\"");
            }
        }
    }
}
