using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>uses</c>: a built-in's name, a class with its home, or a command.</summary>
internal static class UsesReader
{
    /// <summary>What the component is made of; null after an error.</summary>
    public static UsesPlan? Read(YamlNode uses, string owner, FindingList findings)
    {
        if (uses is YamlScalar { Type: ScalarType.Text } name)
        {
            return new UsesPlan { BuiltIn = name.Text };
        }

        if (uses is not YamlMapping map)
        {
            findings.Error(Codes.WrongType, uses, $"{owner}: uses is {uses.Kind}; write the name of a built-in, {{ class, project }}, {{ class, assembly }} or {{ command }}");
            return null;
        }

        var keys = new KeyReader(map, $"uses of {owner}", findings);
        var before = findings.ErrorCount;
        var plan = keys.Node("command") is not null ? Command(keys, map, owner, findings) : Class(keys, map, owner, findings);
        keys.Done();
        return findings.ErrorCount == before ? plan : null;
    }

    private static UsesPlan Class(KeyReader keys, YamlMapping map, string owner, FindingList findings)
    {
        var plan = new UsesPlan { Class = keys.Required("class", map), Project = keys.Text("project"), Assembly = keys.Text("assembly") };
        if (plan.Class is not null && (plan.Project is null) == (plan.Assembly is null))
        {
            findings.Error(Codes.MissingKey, map, $"uses of {owner} needs the key \"project\" (a .csproj) or \"assembly\" (a .dll), and only one of them");
        }

        if (keys.Text("isolation") is { } isolation)
        {
            if (isolation == "process")
            {
                findings.Error(Codes.Isolation, keys.At("isolation", map), $"{owner}: isolation process is not part of this version; write in_process, or run the component as a command");
            }
            else if (isolation != "in_process" && keys.At("isolation", map) is YamlScalar scalar)
            {
                keys.NotAmong(scalar, "isolation", ["in_process", "process"]);
            }
        }

        return plan;
    }

    private static UsesPlan Command(KeyReader keys, YamlMapping map, string owner, FindingList findings)
    {
        var command = keys.Texts("command");
        if (command.Count == 0 && keys.At("command", map) is YamlSequence)
        {
            findings.Error(Codes.Command, keys.At("command", map), $"command of {owner} is empty; write a list such as [python3, score.py]");
        }

        return new UsesPlan
        {
            Command = new CommandPlan(command, keys.Text("cwd"), keys.TextMap("env"), keys.Texts("files"), keys.Int("replicas", 1, 1000) ?? 1),
        };
    }
}
