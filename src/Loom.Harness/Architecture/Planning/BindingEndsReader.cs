using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Source and targets of a binding and where they are named.</summary>
internal sealed record BindingEnds(Endpoint From, YamlNode FromNode, IReadOnlyList<(Endpoint Endpoint, YamlNode Node)> To);

/// <summary>
/// Reads the ends of a binding in its three dialects: canonical <c>from</c>/<c>to</c>; the longhand with components and ports apart, which gets a
/// warning with the canonical line; and the form that names no ports, which is refused.
/// </summary>
internal sealed class BindingEndsReader(FindingList findings, IReadOnlyDictionary<string, PlacedComponent> components)
{
    /// <summary>The ends, or null after an error.</summary>
    public BindingEnds? Read(KeyReader keys, YamlMapping map)
    {
        var longhand = new Longhand(keys.Node("from_component"), keys.Node("from_port"), keys.Node("to_component") ?? keys.Node("to_components"), keys.Node("to_port"), keys.Node("stream_name"));
        keys.Node("to_components");
        if (longhand.IsEmpty)
        {
            return Canonical(keys, map);
        }

        if (keys.Node("from") is not null || keys.Node("to") is not null)
        {
            findings.Error(Codes.BadEndpoint, map, "a binding has from/to and from_component/to_component at once; keep from and to");
            return null;
        }

        return Apart(longhand, map);
    }

    private BindingEnds? Canonical(KeyReader keys, YamlMapping map)
    {
        var from = keys.Node("from");
        var to = keys.Node("to");
        if (from is null || to is null)
        {
            findings.Error(Codes.MissingKey, map, $"binding needs the key \"{(from is null ? "from" : "to")}\": component.port");
            return null;
        }

        var source = Parse(from, input: false);
        var targets = (to is YamlSequence list ? list.Items : [to]).Select(t => (Endpoint: Parse(t, input: true), Node: t)).ToList();
        if (targets.Count == 0)
        {
            findings.Error(Codes.BadEndpoint, to, "a binding needs a target: to: component.port");
        }

        return source is null || targets.Count == 0 || targets.Any(t => t.Endpoint is null) ? null : new BindingEnds(source.Value, from, [.. targets.Select(t => (t.Endpoint!.Value, t.Node))]);
    }

    private Endpoint? Parse(YamlNode node, bool input)
    {
        if (node is YamlScalar { Type: ScalarType.Text } scalar && scalar.Text.Split('.') is [{ Length: > 0 } component, { Length: > 0 } port])
        {
            return new Endpoint(component, port);
        }

        var text = node is YamlScalar plain ? $"\"{Redaction.Plain(plain.Text)}\"" : node.Kind;
        var ports = node is YamlScalar name && components.TryGetValue(name.Text, out var found)
            ? string.Join(" or ", found.Plan.Ports.Where(p => p.IsInput == input && p.Class is SemanticClass.DataIn or SemanticClass.DataOut).Select(p => $"{name.Text}.{p.Name}"))
            : "";
        findings.Error(Codes.BadEndpoint, node, $"{text} is no component.port; {(ports.Length > 0 ? "write " + ports : "name a component and one of its ports, joined by a dot")}");
        return null;
    }

    private BindingEnds? Apart(Longhand longhand, YamlMapping map)
    {
        var targets = longhand.To is YamlSequence list ? list.Items : longhand.To is null ? [] : [longhand.To];
        if (longhand.From is not YamlScalar from || targets.Count == 0 || targets.Any(t => t is not YamlScalar))
        {
            findings.Error(Codes.BadEndpoint, map, "the binding names no component at one of its ends; write { from: component.port, to: component.port }");
            return null;
        }

        var names = targets.Cast<YamlScalar>().ToList();
        if (longhand.FromPort is not YamlScalar fromPort || longhand.ToPort is not YamlScalar toPort)
        {
            findings.Error(Codes.StreamName, map, $"the binding names no ports; {Guess(from.Text, [.. names.Select(n => n.Text)])}");
            return null;
        }

        var source = new Endpoint(from.Text, fromPort.Text);
        var ends = names.Select(n => (new Endpoint(n.Text, toPort.Text), (YamlNode)n)).ToList();
        findings.Warning(Codes.Longhand, map, $"write {Line(source, [.. ends.Select(e => e.Item1)])}; loom harness check --fix does it");
        return new BindingEnds(source, from, ends);
    }

    // The canonical line where both ends leave no choice.
    private string Guess(string from, IReadOnlyList<string> to)
    {
        var source = Only(from, input: false);
        var targets = to.Select(t => Only(t, input: true)).ToList();
        return source is { } known && targets.All(t => t is not null)
            ? $"write {Line(known, [.. targets.Select(t => t!.Value)])}"
            : "write { from: component.port, to: component.port }";
    }

    private Endpoint? Only(string component, bool input) =>
        components.TryGetValue(component, out var found)
        && found.Plan.Ports.Where(p => p.Class == (input ? SemanticClass.DataIn : SemanticClass.DataOut)).ToList() is [var only]
            ? new Endpoint(component, only.Name)
            : null;

    internal static string Line(Endpoint from, IReadOnlyList<Endpoint> to) => $"{{ from: {from}, to: {(to.Count == 1 ? to[0] : $"[{string.Join(", ", to)}]")} }}";

    private sealed record Longhand(YamlNode? From, YamlNode? FromPort, YamlNode? To, YamlNode? ToPort, YamlNode? StreamName)
    {
        public bool IsEmpty => From is null && FromPort is null && To is null && ToPort is null && StreamName is null;
    }
}
