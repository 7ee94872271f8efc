using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Deployments;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components;
using Loom.Harness.Components.Classes;

namespace Loom.Harness.Architecture;

/// <summary>Reads a system's files and makes the plan of a run, or tells everything that is wrong with them at once.</summary>
internal sealed class SystemLoader(ISystemFiles files, ComponentCatalog catalog, IClassSource? classes = null)
{
    public const string ArchitectureFile = "architecture.yaml";

    public const string DeploymentFile = "deployment.yaml";

    /// <summary>Loads a system from disk with the built-ins of this program. Classes in projects are those of the last build, when it was of the sources as they are.</summary>
    /// <param name="directory">The system's folder.</param>
    /// <param name="deploymentFile">Null: <c>deployment.yaml</c> where there is one.</param>
    /// <param name="environment">Values of <c>${VAR}</c>.</param>
    /// <param name="settings">Where defaults come from.</param>
    public static LoadResult Load(string directory, string? deploymentFile, IReadOnlyDictionary<string, string> environment, HarnessOptions settings) =>
        Load(directory, deploymentFile, environment, settings, ProjectBuilder.Existing(Path.GetFullPath(directory), Projects(directory)));

    /// <summary>The same for a system with classes in projects, which are built first.</summary>
    /// <param name="directory">The system's folder.</param>
    /// <param name="deploymentFile">Null: <c>deployment.yaml</c> where there is one.</param>
    /// <param name="environment">Values of <c>${VAR}</c>.</param>
    /// <param name="settings">Where defaults come from.</param>
    /// <param name="builder">Builds projects whose sources have changed since they were built last.</param>
    /// <param name="ct">Ends the building.</param>
    public static async Task<LoadResult> LoadAsync(
        string directory, string? deploymentFile, IReadOnlyDictionary<string, string> environment, HarnessOptions settings, ProjectBuilder builder, CancellationToken ct)
    {
        var folder = Path.GetFullPath(directory);
        var builds = await builder.BuildAsync(folder, Projects(folder), ct).ConfigureAwait(false);
        return Load(folder, deploymentFile, environment, settings, builds);
    }

    private static LoadResult Load(
        string directory, string? deploymentFile, IReadOnlyDictionary<string, string> environment, HarnessOptions settings, IReadOnlyDictionary<string, ProjectBuild> builds)
    {
        var folder = Path.GetFullPath(directory);
        return new SystemLoader(DiskSystemFiles.Instance, ComponentCatalog.BuiltIns, new DiskClasses(folder, builds)).LoadFrom(folder, deploymentFile, environment, settings);
    }

    /// <summary>The projects an architecture names, as it writes them; none where it cannot be read, which loading tells.</summary>
    public static IReadOnlyList<string> Projects(string directory) => NamedFiles.In(directory)?.Projects ?? [];

    /// <summary>Loads a system from these files, with this catalog and these classes.</summary>
    /// <param name="directory">The system's folder, absolute.</param>
    /// <param name="deploymentFile">Null: <c>deployment.yaml</c> where there is one.</param>
    /// <param name="environment">Values of <c>${VAR}</c>.</param>
    /// <param name="settings">Where defaults come from.</param>
    public LoadResult LoadFrom(string directory, string? deploymentFile, IReadOnlyDictionary<string, string> environment, HarnessOptions settings)
    {
        var findings = new FindingList();
        if (Root(directory, ArchitectureFile, findings) is not { } root)
        {
            return new LoadResult(null, findings.Sorted());
        }

        var deployment = Deployment(directory, deploymentFile, environment, findings);
        var context = new PlanningContext
        {
            Findings = findings,
            Variables = new Variables(Joined(environment, deployment.Variables), deployment.Secrets),
            Deployment = deployment,
            Settings = settings,
            Catalog = catalog,
            Classes = classes ?? new DiskClasses(directory, new Dictionary<string, ProjectBuild>()),
            Files = files,
            Directory = directory,
        };
        var planned = new SystemPlanner(context).Plan(root);
        return new LoadResult(findings.HasErrors ? null : planned.Plan, findings.Sorted()) { Planned = planned, DeploymentFile = deployment.File };
    }

    private Deployment Deployment(string directory, string? file, IReadOnlyDictionary<string, string> environment, FindingList findings)
    {
        var path = file ?? DeploymentFile;
        if (file is null && !files.Exists(Path.Combine(directory, path)))
        {
            return Deployments.Deployment.None;
        }

        return Root(directory, path, findings) is { } root ? new DeploymentReader(files, directory, environment, findings).Read(root) : Deployments.Deployment.None;
    }

    // The deployment's variables win: they are nearer.
    private static Dictionary<string, string> Joined(IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> own)
    {
        var result = new Dictionary<string, string>(environment, StringComparer.Ordinal);
        foreach (var (name, value) in own)
        {
            result[name] = value;
        }

        return result;
    }

    private YamlMapping? Root(string directory, string file, FindingList findings)
    {
        var read = files.Read(Path.Combine(directory, file), YamlReader.MaxBytes);
        if (read.Content is not { } content)
        {
            findings.Error(Codes.File, file, 0, 0, read.Missing ? $"there is no such file in {directory}; loom harness new NAME makes a system that runs" : $"the file cannot be read: {read.Problem}");
            return null;
        }

        var node = YamlReader.Read(file, content, findings);
        if (node is null or YamlMapping)
        {
            return node as YamlMapping;
        }

        findings.Error(Codes.WrongType, node, $"the file is {node.Kind}; it begins with keys such as system: and components:");
        return null;
    }
}
