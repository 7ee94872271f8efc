using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Deployments;

/// <summary>Reads <c>deployment.yaml</c>: how this environment runs a system. What a system is belongs into the architecture and is refused by name.</summary>
internal sealed class DeploymentReader(ISystemFiles files, string directory, IReadOnlyDictionary<string, string> environment, FindingList findings)
{
    private const int MaxSecretBytes = 64 << 10;
    private static readonly string[] s_architectural = ["components", "ports", "bindings", "schemas", "system", "capabilities", "tier"];
    private static readonly string[] s_componentArchitectural = ["name", "type", "uses", "ports", "processing_mode", "state", "ordering", "scheduler", "tier"];
    private static readonly string[] s_bindingArchitectural =
        ["name", "from", "to", "overflow", "condition", "weight", "priority", "transformation", "copy", "feedback", "max_in_flight", "qos", "timeout_ms", "spill_bytes"];

    private static readonly string[] s_componentKeys = ["config", "capabilities", "batching", "concurrency", "restart"];
    private static readonly string[] s_bindingKeys = ["buffer", "buffer_bytes"];

    public Deployment Read(YamlMapping root)
    {
        var keys = new KeyReader(root, "deployment", findings);
        SchemaVersionText.Check(keys, root, findings);
        foreach (var entry in root.Entries.Where(e => s_architectural.Contains(e.Key.Text)))
        {
            Architectural(entry.Key, "deployment");
            keys.Node(entry.Key.Text);
        }

        var replicas = keys.Int("replicas", 1, 1000) ?? 1;
        var transport = keys.Map("transport");
        if (replicas > 1 && transport is null)
        {
            findings.Error(Codes.Replicas, keys.At("replicas", root), $"{replicas} replicas need a transport to share the work; write replicas: 1, or start several systems on parts of the input");
        }

        foreach (var key in (string[])["transport", "placement"])
        {
            if (keys.Node(key) is { } node)
            {
                findings.Error(Codes.Transport, node, $"{key} is not part of this version: a system runs in one process; remove {key}");
            }
        }

        var (variables, secrets) = Variables(keys);
        var deployment = new Deployment
        {
            File = root.File,
            Environment = keys.Text("environment"),
            Components = Overrides(keys.Map("component_overrides"), "component", s_componentKeys, s_componentArchitectural),
            Bindings = Overrides(keys.Map("binding_overrides"), "binding", s_bindingKeys, s_bindingArchitectural),
            Variables = variables,
            Secrets = secrets,
            Policy = keys.Map("policy"),
            State = keys.Map("state"),
        };
        keys.Done();
        return deployment;
    }

    private void Architectural(YamlScalar key, string where) =>
        findings.Error(Codes.Architectural, key, $"\"{key.Text}\" says what the system is, and cannot stand in {where}; change architecture.yaml and lock it");

    private Dictionary<string, (YamlScalar Key, YamlMapping Map)> Overrides(YamlMapping? overrides, string kind, string[] known, string[] architectural)
    {
        var result = new Dictionary<string, (YamlScalar, YamlMapping)>(StringComparer.Ordinal);
        foreach (var entry in overrides?.Entries ?? [])
        {
            if (entry.Value is not YamlMapping map)
            {
                findings.Error(Codes.WrongType, entry.Value, $"{kind}_overrides.{entry.Key.Text} is {entry.Value.Kind}; write a map of {string.Join(", ", known)}");
                continue;
            }

            foreach (var inner in map.Entries.Where(e => !known.Contains(e.Key.Text)))
            {
                if (architectural.Contains(inner.Key.Text))
                {
                    Architectural(inner.Key, $"an override of {kind} \"{Redaction.Plain(entry.Key.Text)}\"");
                }
                else
                {
                    KeyReader.Unknown(inner.Key, $"an override of a {kind}", known, findings);
                }
            }

            result[entry.Key.Text] = (entry.Key, map);
        }

        return result;
    }

    private (Dictionary<string, string> Values, HashSet<string> Secrets) Variables(KeyReader keys)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        var secrets = new HashSet<string>(StringComparer.Ordinal);
        var outer = new Variables(environment, new HashSet<string>());
        foreach (var item in keys.List("env_vars"))
        {
            if (item is not YamlMapping map)
            {
                findings.Error(Codes.WrongType, item, $"a variable is {item.Kind}; write {{ name, value }} or {{ name, valueFrom: {{ secretKeyRef: {{ name, key }} }} }}");
                continue;
            }

            var inner = new KeyReader(map, "variable", findings);
            var name = inner.Required("name", map);
            var value = inner.Node("value");
            var from = inner.Map("valueFrom");
            inner.Done();
            if (name is null)
            {
                continue;
            }

            if ((value is null) == (from is null))
            {
                findings.Error(Codes.MissingKey, map, $"variable {Redaction.Plain(name)} needs the key \"value\" or the key \"valueFrom\", and only one of them");
            }
            else if (value is YamlScalar && outer.Expand(value, findings) is YamlScalar expanded)
            {
                values[name] = expanded.Text;
            }
            else if (from is not null && Secret(name, from) is { } secret)
            {
                values[name] = secret;
                secrets.Add(name);
            }
        }

        return (values, secrets);
    }

    private string? Secret(string variable, YamlMapping from)
    {
        var keys = new KeyReader(from, $"valueFrom of {variable}", findings);
        var reference = keys.Map("secretKeyRef");
        keys.Done();
        if (reference is null)
        {
            findings.Error(Codes.MissingKey, from, $"valueFrom of {variable} needs the key \"secretKeyRef\": {{ name, key }}");
            return null;
        }

        var inner = new KeyReader(reference, $"secretKeyRef of {variable}", findings);
        var name = inner.Required("name", reference);
        var key = inner.Required("key", reference);
        inner.Done();
        if (name is null || key is null)
        {
            return null;
        }

        if (!IsPlain(name) || !IsPlain(key))
        {
            findings.Error(Codes.SecretMissing, reference, $"secret {Redaction.Plain(name)}/{Redaction.Plain(key)}: names of secrets are file names, without / and not . or ..");
            return null;
        }

        foreach (var folder in (string[])["/run/secrets", Path.Combine(directory, ".loom", "secrets")])
        {
            var read = files.Read(Path.Combine(folder, name, key), MaxSecretBytes);
            if (read.Content is { } content)
            {
                return System.Text.Encoding.UTF8.GetString(content).TrimEnd('\r', '\n');
            }

            if (!read.Missing)
            {
                findings.Error(Codes.SecretMissing, reference, $"secret {name}/{key} of {variable} cannot be read: {read.Problem}");
                return null;
            }
        }

        findings.Error(Codes.SecretMissing, reference, $"secret {name}/{key} of {variable} is neither /run/secrets/{name}/{key} nor .loom/secrets/{name}/{key}; put the value into one of these files");
        return null;
    }

    private static bool IsPlain(string name) => name is not ("." or "..") && name.AsSpan().IndexOfAny('/', '\0') < 0 && name.Length > 0;
}
