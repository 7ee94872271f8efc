using System.Text;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Loom.Harness.Architecture.Fixing;

/// <summary>Rewrites longhand bindings in the text of an architecture. Everything else stays as it is, comments, quotes and line ends included.</summary>
internal static class BindingFix
{
    /// <summary>The new text.</summary>
    /// <param name="content">The file's bytes.</param>
    /// <param name="count">How many bindings were rewritten; 0 also where the file is no YAML, which the check tells.</param>
    public static byte[] Apply(byte[] content, out int count)
    {
        count = 0;

        // What is too deep for the reader would be too deep for the stack here.
        if (YamlReader.Read("", content, new FindingList()) is null)
        {
            return content;
        }

        var preamble = content.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        var text = Encoding.UTF8.GetString(content.AsSpan(preamble));
        var edits = new List<(int Start, int End, string Text)>();
        foreach (var binding in Bindings(text))
        {
            if (Rewrite(text, binding) is { Count: > 0 } some)
            {
                edits.AddRange(some);
                count++;
            }
        }

        if (count == 0)
        {
            return content;
        }

        var result = new StringBuilder(text);
        foreach (var (start, end, replacement) in edits.OrderByDescending(e => e.Start))
        {
            result.Remove(start, end - start).Insert(start, replacement);
        }

        return [.. content.AsSpan(0, preamble), .. Encoding.UTF8.GetBytes(result.ToString())];
    }

    private static IEnumerable<YamlMappingNode> Bindings(string text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException)
        {
            return [];
        }

        return stream.Documents is [{ RootNode: YamlMappingNode root }] && root.Children.TryGetValue(new YamlScalarNode("bindings"), out var found) && found is YamlSequenceNode list
            ? list.OfType<YamlMappingNode>()
            : [];
    }

    private static List<(int, int, string)>? Rewrite(string text, YamlMappingNode binding)
    {
        var entries = binding.Children.Select(c => new Entry(((YamlScalarNode)c.Key).Value ?? "", c.Key, c.Value)).ToList();
        var from = Scalar(entries, "from_component");
        var fromPort = Scalar(entries, "from_port");
        var toPort = Scalar(entries, "to_port");
        var to = entries.FirstOrDefault(e => e.Key is "to_component" or "to_components")?.Value;
        var targets = to switch
        {
            YamlScalarNode one => [one.Value],
            YamlSequenceNode many when many.Children.All(c => c is YamlScalarNode) => many.Children.Select(c => ((YamlScalarNode)c).Value).ToList(),
            _ => [],
        };
        if (from is null || fromPort is null || toPort is null || targets.Count == 0)
        {
            return null;
        }

        var ends = targets.Select(t => $"{t}.{toPort}").ToList();
        var edits = new List<(int, int, string)>();
        Group(text, binding, entries, e => e.Key is "from_component" or "from_port", $"from: {from}.{fromPort}", edits);
        Group(text, binding, entries, e => e.Key is "to_component" or "to_components" or "to_port", $"to: {(ends.Count == 1 ? ends[0] : $"[{string.Join(", ", ends)}]")}", edits);
        if (entries.FirstOrDefault(e => e.Key == "stream_name") is { } name)
        {
            edits.Add(((int)name.KeyNode.Start.Index, (int)name.KeyNode.End.Index, "name"));
        }

        return edits;
    }

    // The first entry of a group becomes the canonical one; the others go.
    private static void Group(string text, YamlMappingNode binding, List<Entry> entries, Func<Entry, bool> isMember, string canonical, List<(int, int, string)> edits)
    {
        var first = true;
        for (var i = 0; i < entries.Count; i++)
        {
            if (!isMember(entries[i]))
            {
                continue;
            }

            var (start, end) = ((int)entries[i].KeyNode.Start.Index, EndOf(entries[i].Value));
            if (first)
            {
                edits.Add((start, end, canonical));
                first = false;
            }
            else if (binding.Style == MappingStyle.Flow)
            {
                edits.Add((EndOf(entries[i - 1].Value), end, ""));
            }
            else
            {
                var line = text.LastIndexOf('\n', start) + 1;
                var next = text.IndexOf('\n', end);
                edits.Add((line, next < 0 ? text.Length : next + 1, ""));
            }
        }
    }

    // The end of a list in block style is where the next thing begins.
    private static int EndOf(YamlDotNet.RepresentationModel.YamlNode node) => node is YamlSequenceNode { Style: not SequenceStyle.Flow, Children: [.., var last] } ? EndOf(last) : (int)node.End.Index;

    private static string? Scalar(List<Entry> entries, string key) => (entries.FirstOrDefault(e => e.Key == key)?.Value as YamlScalarNode)?.Value;

    private sealed record Entry(string Key, YamlDotNet.RepresentationModel.YamlNode KeyNode, YamlDotNet.RepresentationModel.YamlNode Value);
}
