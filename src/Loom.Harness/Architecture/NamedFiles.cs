using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture;

/// <summary>The files an architecture names, as it writes them: known as soon as its text can be read, however wrong the system is otherwise.</summary>
/// <param name="Files">Schemas, files and programs of commands, assemblies; relative to the system's folder. They need not exist.</param>
/// <param name="Projects">Projects its classes stand in.</param>
internal sealed record NamedFiles(IReadOnlyList<string> Files, IReadOnlyList<string> Projects)
{
    /// <summary>Those of the architecture in a folder; null where its text cannot be read.</summary>
    public static NamedFiles? In(string directory)
    {
        var content = DiskSystemFiles.Instance.Read(Path.Combine(directory, SystemLoader.ArchitectureFile), YamlReader.MaxBytes).Content;
        var root = content is null ? null : YamlReader.Read(SystemLoader.ArchitectureFile, content, new FindingList());
        return root is null ? null : In(root);
    }

    private static NamedFiles In(YamlNode root)
    {
        var (files, projects) = (new List<YamlNode?>(), new List<YamlNode?>());
        if (root is YamlMapping map && map.Find("schemas") is YamlMapping schemas)
        {
            files.AddRange(schemas.Entries.Select(e => (e.Value as YamlMapping)?.Find("file")));
        }

        foreach (var uses in Mappings(root))
        {
            if (uses.Find("class") is YamlScalar)
            {
                projects.Add(uses.Find("project"));
                files.Add(uses.Find("assembly"));
            }
            else if (uses.Find("command") is YamlSequence command)
            {
                files.AddRange([.. (uses.Find("files") as YamlSequence)?.Items ?? [], command.Items.FirstOrDefault()]);
            }
        }

        return new NamedFiles(Texts(files), Texts(projects));
    }

    private static IEnumerable<YamlMapping> Mappings(YamlNode node) => node switch
    {
        YamlSequence list => list.Items.SelectMany(Mappings),
        YamlMapping map => map.Entries.SelectMany(e => Mappings(e.Value)).Prepend(map),
        _ => [],
    };

    private static List<string> Texts(IEnumerable<YamlNode?> nodes) => [.. nodes.OfType<YamlScalar>().Select(n => n.Text).Where(static t => t.Length > 0 && !t.Contains('\0', StringComparison.Ordinal)).Distinct(StringComparer.Ordinal)];
}
