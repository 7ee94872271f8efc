using System.Collections.Immutable;
using System.Text.Json;
using Loom.Core.Settings;

namespace Loom.Agents.Discovery;

/// <summary>A script that is an agent by its place.</summary>
/// <param name="Name">Its stem, or the name of its folder.</param>
/// <param name="Path">Absolute path.</param>
internal sealed record FoundScript(string Name, string Path);

/// <summary>Finds agents by the rule of places: <c>agents/NAME.py</c>, <c>agents/NAME/main.py</c>. Asks the disk, starts nothing.</summary>
internal sealed class ScriptSearch(string projectFolder, ISettingsFiles files, Action<Finding> report)
{
    private const string Folder = "agents";

    /// <summary>Extensions of scripts that can be run.</summary>
    public static readonly ImmutableArray<string> Extensions = [".py", ".js", ".mjs", ".cjs", ".ts", ".cs", ".csproj", ".dll", ".sh"];

    private static readonly string[] s_mains = ["main.py", "run.py", "app.py"];

    /// <summary>Everything below <c>agents/</c>, by name.</summary>
    public ImmutableArray<FoundScript> Agents()
    {
        var folder = Path.Combine(projectFolder, Folder);
        var found = new List<FoundScript>();
        var items = List(folder);
        var isCSharpProject = items.Any(i => IsProject(i));
        foreach (var item in items)
        {
            var path = Path.Combine(folder, item.Name);
            if (item.IsFolder)
            {
                if (item.Name[0] is not ('_' or '.') && InFolder(path) is { } script)
                {
                    found.Add(new FoundScript(item.Name, script));
                }
            }
            else if (IsAgent(item.Name) && !(isCSharpProject && Path.GetExtension(item.Name) == ".cs") && IsScript(path))
            {
                found.Add(new FoundScript(Path.GetFileNameWithoutExtension(item.Name), path));
            }
        }

        return [.. found.OrderBy(s => s.Name, StringComparer.Ordinal).ThenBy(s => s.Path, StringComparer.Ordinal)];
    }

    /// <summary>The project's own program, for <c>loom run</c>: the first of <c>main.py</c>, <c>run.py</c>, <c>app.py</c>; null when there is none.</summary>
    public FoundScript? Main()
    {
        foreach (var name in s_mains)
        {
            var path = Path.Combine(projectFolder, name);
            if (files.Exists(path))
            {
                return new FoundScript(Path.GetFileNameWithoutExtension(name), path);
            }
        }

        return null;
    }

    private static bool IsAgent(string name) =>
        name[0] is not ('_' or '.') && !name.StartsWith("test_", StringComparison.Ordinal)
        && !Path.GetFileNameWithoutExtension(name).EndsWith("_test", StringComparison.Ordinal)
        && !name.EndsWith(".d.ts", StringComparison.Ordinal);

    private static bool IsProject(FolderItem item) => !item.IsFolder && item.Name.EndsWith(".csproj", StringComparison.Ordinal);

    // `agent.*` or `main.*`, else one project of C#, else the `main` of package.json.
    private string? InFolder(string folder)
    {
        var items = List(folder);
        var projects = items.Where(IsProject).ToList();
        foreach (var stem in (ReadOnlySpan<string>)["agent", "main"])
        {
            var scripts = items.Where(i => !i.IsFolder && Path.GetFileNameWithoutExtension(i.Name) == stem && !i.Name.EndsWith(".d.ts", StringComparison.Ordinal)
                && !(projects.Count > 0 && Path.GetExtension(i.Name) is ".cs" or ".csproj") && IsScript(Path.Combine(folder, i.Name))).Select(i => i.Name).ToList();
            if (scripts.Count > 1)
            {
                Told(Finding.Of("R11", Key(folder), $"two scripts are one agent: {string.Join(" and ", scripts)}", "rename one of them"), folder);
            }

            if (scripts.Count > 0)
            {
                return Path.Combine(folder, scripts[0]);
            }
        }

        if (projects.Count > 1)
        {
            Told(Finding.Of("R11", Key(folder), $"two projects are one agent: {string.Join(" and ", projects.Select(p => p.Name))}", "leave one project in the folder"), folder);
        }

        return projects.Count > 0 ? Path.Combine(folder, projects[0].Name)
            : items.Any(i => i is { Name: "package.json", IsFolder: false }) ? NodeMain(folder)
            : null;
    }

    private string? NodeMain(string folder)
    {
        var path = Path.Combine(folder, "package.json");
        if (files.Read(path) is not { Error: null } file)
        {
            return null;
        }

        try
        {
            using var package = JsonDocument.Parse(file.Content, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            return package.RootElement.ValueKind == JsonValueKind.Object && package.RootElement.TryGetProperty("main", out var main)
                && main.ValueKind == JsonValueKind.String && main.GetString() is { Length: > 0 } script
                    ? Path.GetFullPath(script, folder)
                    : null;
        }
        catch (JsonException e)
        {
            Told(new Finding(FaultCode.Syntax, Key(folder), $"package.json is not JSON: {e.Message}", "mend it, or name the script in [agents.NAME]"), path);
            return null;
        }
    }

    private List<FolderItem> List(string folder)
    {
        try
        {
            return [.. (files.List(folder) ?? []).Where(i => i.Name.Length > 0).OrderBy(i => i.Name, StringComparer.Ordinal)];
        }
        catch (IOException e)
        {
            Told(new Finding(FaultCode.File, Key(folder), $"the folder cannot be read: {e.Message}", "let this user read it, or set runtime.discover = false"), folder);
            return [];
        }
    }

    // A link that leads nowhere is passed over like a file of no known kind.
    private bool IsScript(string path) =>
        Extensions.Contains(Path.GetExtension(path), StringComparer.Ordinal) ? files.Exists(path) : files.IsExecutable(path) && Interpreters.HasShebang(files, path);

    private void Told(Finding finding, string path) => report(finding with { File = Path.GetRelativePath(projectFolder, path) });

    private string Key(string folder) => Path.GetRelativePath(projectFolder, folder) == Folder ? "runtime.discover" : $"agents.{KeyText.Quoted(Path.GetFileName(folder))}";
}
