using System.Buffers;
using System.Text;

namespace Loom.Node.Telemetry;

/// <summary>Families of metrics from several pages, joined by name. Pure over texts; a line that is no metric is left out.</summary>
internal sealed class EngineFamilies
{
    private const int MostSamples = 2000;

    private static readonly string[] s_ours = ["orchd_", "pool_mgr_", "engine_provisioner_"];

    private readonly SortedDictionary<string, Family> _families = new(StringComparer.Ordinal);

    /// <summary>Adds a page.</summary>
    /// <param name="page">Prometheus text.</param>
    /// <param name="labels">Labels added to each sample: <c>a="b",c="d"</c>.</param>
    public void Add(string page, string labels)
    {
        Family? family = null;
        foreach (var raw in page.Split('\n'))
        {
            var line = raw.TrimEnd('\r');
            if (line.StartsWith("# ", StringComparison.Ordinal))
            {
                family = Comment(line, family);
            }
            else if (line.Length > 0 && NameOf(line) is { } name)
            {
                // A sample without a comment ahead is a family of its own.
                family = family is not null && name.StartsWith(family.Name, StringComparison.Ordinal) ? family : FamilyOf(name);
                if (family is { Samples.Count: < MostSamples })
                {
                    family.Samples.Add(Labelled(line, name, labels));
                }
            }
        }
    }

    /// <summary>Writes all families by name.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        foreach (var family in _families.Values.Where(f => f.Samples.Count > 0))
        {
            foreach (var line in new[] { family.Help, family.Type }.OfType<string>().Concat(family.Samples))
            {
                Encoding.UTF8.GetBytes(line, output);
                output.Write("\n"u8);
            }
        }
    }

    private Family? Comment(string line, Family? present)
    {
        var parts = line.Split(' ', 4);
        if (parts.Length < 3 || parts[1] is not ("HELP" or "TYPE"))
        {
            return present;
        }

        var family = FamilyOf(parts[2]);
        if (family is not null && parts[1] == "HELP")
        {
            family.Help ??= line;
        }
        else if (family is not null)
        {
            family.Type ??= line;
        }

        return family;
    }

    private Family? FamilyOf(string name)
    {
        if (s_ours.Any(p => name.StartsWith(p, StringComparison.Ordinal)))
        {
            return null;
        }

        if (!_families.TryGetValue(name, out var family))
        {
            _families.Add(name, family = new Family(name));
        }

        return family;
    }

    private static string? NameOf(string line)
    {
        var end = line.AsSpan().IndexOfAny('{', ' ');
        return end > 0 && line.AsSpan(0, end).IndexOfAnyExcept(s_nameCharacters) < 0 ? line[..end] : null;
    }

    private static readonly SearchValues<char> s_nameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

    private static string Labelled(string line, string name, string labels)
    {
        var rest = line[name.Length..];
        return !rest.StartsWith('{') ? $"{name}{{{labels}}}{rest}" : rest.StartsWith("{}", StringComparison.Ordinal) ? $"{name}{{{labels}}}{rest[2..]}" : $"{name}{{{labels},{rest[1..]}";
    }

    private sealed class Family(string name)
    {
        public string Name { get; } = name;

        public string? Help { get; set; }

        public string? Type { get; set; }

        public List<string> Samples { get; } = [];
    }
}
