using System.Text;
using System.Text.Json.Nodes;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Classes;

namespace Loom.Harness.Architecture.Locking;

/// <summary>Computes the lock of a system as its files are now: no clock, host, user or absolute path goes into it.</summary>
internal sealed class LockBuilder(ISystemFiles files, FindingList findings)
{
    private const long MaxInputBytes = 1L << 30;

    /// <summary>The lock; null when an input cannot be read.</summary>
    public LockContent? Build(PlannedSystem system, string? deploymentFile)
    {
        var plan = system.Plan;
        var before = findings.ErrorCount;
        var inputs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Input(inputs, plan.Directory, SystemLoader.ArchitectureFile);
        foreach (var schema in plan.Schemas.Values.Where(s => s.File is not null))
        {
            Input(inputs, plan.Directory, schema.File!);
        }

        foreach (var file in plan.Components.SelectMany(c => c.Uses.Command?.Files ?? []))
        {
            Input(inputs, plan.Directory, file);
        }

        if (plan.Policy.LockDeployment && deploymentFile is not null)
        {
            Input(inputs, plan.Directory, deploymentFile);
        }

        var components = system.Placed.Components.ToDictionary(c => c.Plan.Name, c => Component(plan.Directory, c), StringComparer.Ordinal);
        if (findings.ErrorCount != before)
        {
            return null;
        }

        var content = new LockContent
        {
            System = plan.Name,
            Version = plan.Version,
            Inputs = inputs,
            Components = components,
            SetupOrder = [.. plan.Components.Select(c => c.Name)],
            Graph = GraphDocument.Hash(plan),
        };
        return content with { LockHash = content.ComputeHash() };
    }

    private LockedComponent Component(string directory, PlacedComponent component)
    {
        var config = CanonicalText.Hash(CanonicalText.Node(YamlJson.Element(component.Agreed.Config, masked: false)));
        return new LockedComponent(Text(GraphDocument.Uses(component.Plan.Uses)), Implementation(directory, component), config,
            [.. component.Agreed.Chain.Select(c => new LockedCapability(c.Name, c.Tier, c.Kernel, Text(CanonicalText.Node(c.Config))))]);
    }

    private string Implementation(string directory, PlacedComponent component)
    {
        var uses = component.Plan.Uses;
        if (uses.Assembly is { } assembly)
        {
            return FileHash(directory, assembly) ?? "";
        }

        if (uses.Project is { } project)
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(project, directory))!;
            if (ProjectSources.Hash(files, folder) is { } hash)
            {
                return hash;
            }

            findings.Error(Codes.HomeMissing, SystemLoader.ArchitectureFile, 0, 0, $"a source of project {project} cannot be read");
            return "";
        }

        return uses.Command is { } command
            ? Sum(command.Files.Select(Relative).Order(StringComparer.Ordinal).Select(f => (f, FileHash(directory, f))))
            : CanonicalText.Hash($"built-in {component.Plan.Descriptor.Name} {component.Plan.Descriptor.Version}");
    }

    private static string Sum(IEnumerable<(string Path, string? Hash)> parts)
    {
        var text = new StringBuilder();
        foreach (var (path, hash) in parts)
        {
            text.Append(hash).Append("  ").Append(path).Append('\n');
        }

        return CanonicalText.Hash(text.ToString());
    }

    private void Input(SortedDictionary<string, string> inputs, string directory, string file)
    {
        var relative = Relative(Path.GetRelativePath(directory, Path.GetFullPath(file, directory)));
        if (!inputs.ContainsKey(relative) && FileHash(directory, relative) is { } hash)
        {
            inputs[relative] = hash;
        }
    }

    private string? FileHash(string directory, string file)
    {
        var read = files.Read(Path.GetFullPath(file, directory), MaxInputBytes);
        if (read.Content is { } content)
        {
            return CanonicalText.Hash(content);
        }

        findings.Error(Codes.HomeMissing, SystemLoader.ArchitectureFile, 0, 0, $"{file} is an input of the lock, and {(read.Missing ? "there is no such file" : $"cannot be read: {read.Problem}")}");
        return null;
    }

    private static string Relative(string path) => path.Replace('\\', '/');

    private static string Text(JsonNode? node) => Encoding.UTF8.GetString(CanonicalText.Of(node));
}
