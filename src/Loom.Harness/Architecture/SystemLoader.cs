using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Deployments;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components;

namespace Loom.Harness.Architecture;

/// <summary>Reads a system's files and makes the plan of a run, or tells everything that is wrong with them at once.</summary>
internal sealed class SystemLoader(ISystemFiles files, ComponentCatalog catalog)
{
    public const string ArchitectureFile = "architecture.yaml";

    public const string DeploymentFile = "deployment.yaml";

    /// <summary>Loads a system from disk with the built-ins of this program.</summary>
    /// <param name="directory">The system's folder.</param>
    /// <param name="deploymentFile">Null: <c>deployment.yaml</c> where there is one.</param>
    /// <param name="environment">Values of <c>${VAR}</c>.</param>
    /// <param name="settings">Where defaults come from.</param>
    public static LoadResult Load(string directory, string? deploymentFile, IReadOnlyDictionary<string, string> environment, HarnessOptions settings) =>
        new SystemLoader(DiskSystemFiles.Instance, ComponentCatalog.BuiltIns).LoadFrom(Path.GetFullPath(directory), deploymentFile, environment, settings);

    /// <inheritdoc cref="Load" />
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
