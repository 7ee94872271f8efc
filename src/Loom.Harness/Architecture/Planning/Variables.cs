using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Replaces <c>${VAR}</c> in the values where it may stand; a plain value is then read as what it has become, and one that a secret went into is marked.</summary>
/// <param name="values">By name.</param>
/// <param name="secrets">Names whose values are never shown.</param>
internal sealed class Variables(IReadOnlyDictionary<string, string> values, IReadOnlySet<string> secrets)
{
    // A shorter value is a plain word that would mask half of every text.
    private const int LeastMasked = 8;

    /// <summary>The node with its references replaced; the same one where there are none.</summary>
    public YamlNode Expand(YamlNode node, FindingList findings)
    {
        switch (node)
        {
            case YamlScalar scalar:
                return Expand(scalar, findings);
            case YamlSequence list when list.Items.Any(HoldsReference):
                return new YamlSequence(list.File, list.Line, list.Column, [.. list.Items.Select(i => Expand(i, findings))]);
            case YamlMapping map when map.Entries.Any(e => HoldsReference(e.Value)):
                return new YamlMapping(map.File, map.Line, map.Column, [.. map.Entries.Select(e => e with { Value = Expand(e.Value, findings) })]);
            default:
                return node;
        }
    }

    /// <summary>Variables whose values are masked wherever they turn up: those that are secret, and those whose name says so.</summary>
    public IEnumerable<KeyValuePair<string, string>> Masked => values.Where(v => secrets.Contains(v.Key) || (SecretValues.IsSecretName(v.Key) && v.Value.Length >= LeastMasked));

    /// <summary>The value of a variable; null when it is unset.</summary>
    public string? Value(string name) => values.GetValueOrDefault(name);

    public static bool HoldsReference(YamlNode node) => node switch
    {
        YamlScalar scalar => scalar.Text.Contains("${", StringComparison.Ordinal),
        YamlSequence list => list.Items.Any(HoldsReference),
        YamlMapping map => map.Entries.Any(e => HoldsReference(e.Value)),
        _ => false,
    };

    /// <summary>Tells every reference in a part of the file where none may stand.</summary>
    public static void Refuse(YamlNode? node, FindingList findings)
    {
        switch (node)
        {
            case YamlScalar scalar when scalar.Text.Contains("${", StringComparison.Ordinal):
                findings.Error(Codes.ReferencePlace, scalar, $"\"{Redaction.Plain(scalar.Text)}\": variables may stand in config, policy, env_vars and transport only; write the value itself");
                break;
            case YamlSequence list:
                foreach (var item in list.Items)
                {
                    Refuse(item, findings);
                }

                break;
            case YamlMapping map:
                foreach (var entry in map.Entries)
                {
                    Refuse(entry.Value, findings);
                }

                break;
        }
    }

    private YamlScalar Expand(YamlScalar scalar, FindingList findings)
    {
        if (!scalar.Text.Contains("${", StringComparison.Ordinal) || References.Expand(scalar.Text, n => values.GetValueOrDefault(n), builtIn: null) is not { } expansion)
        {
            return scalar;
        }

        foreach (var fault in expansion.Faults)
        {
            findings.Error(Codes.Reference, scalar, $"{Redaction.Plain(fault.Written)}: {fault.Message}{(fault.Fix is null ? "" : $"; {fault.Fix}")}");
        }

        // Inside { } a reference must be quoted, and "${PORT}" is a number all the same.
        var style = scalar.Style == ScalarStyle.Quoted ? ScalarStyle.Plain : scalar.Style;
        return new YamlScalar(scalar.File, scalar.Line, scalar.Column, expansion.Text, style) { IsExpanded = true, Secret = expansion.Names.Any(secrets.Contains) };
    }
}
