using System.Text;
using Loom.Harness.Architecture;
using Loom.Harness.Components;

namespace Loom.Fast.Tests.Harness.Architecture;

/// <summary>A system whose files are in memory, and whose built-ins are the parts of <see cref="Parts"/>.</summary>
internal sealed class MemorySystem : ISystemFiles
{
    public const string Folder = "/system";

    public static ComponentCatalog Catalog { get; } = new(typeof(Parts).GetNestedTypes());

    private readonly Dictionary<string, byte[]> _files = new(StringComparer.Ordinal);

    public MemorySystem()
    {
    }

    public MemorySystem(string architecture) => With("architecture.yaml", architecture);

    public Dictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public HashSet<string> Executables { get; } = new(StringComparer.Ordinal);

    /// <summary>Files that are links, and where these lead.</summary>
    public Dictionary<string, string> Links { get; } = new(StringComparer.Ordinal);

    public HarnessOptions Settings { get; set; } = new();

    public ComponentCatalog Components { get; init; } = Catalog;

    public MemorySystem With(string path, string text) => With(path, Encoding.UTF8.GetBytes(text));

    public MemorySystem With(string path, byte[] content)
    {
        _files[Path.GetFullPath(path, Folder)] = content;
        return this;
    }

    public LoadResult Load(string? deployment = null) => new SystemLoader(this, Components, new AcmeClasses()).LoadFrom(Folder, deployment, Environment, Settings);

    /// <summary>Every finding as its line.</summary>
    public string[] Lines(string? deployment = null) => [.. Load(deployment).Findings.Select(f => f.ToString())];

    FileRead ISystemFiles.Read(string path, long limit) =>
        !_files.TryGetValue(path, out var content) ? _files.Keys.Any(k => k.StartsWith(path + "/", StringComparison.Ordinal)) ? new FileRead(null, false, "it is a folder") : new FileRead(null, true, null)
        : content.Length > limit ? new FileRead(null, false, $"it has {content.Length} bytes; at most {limit} are read")
        : new FileRead(content, false, null);

    bool ISystemFiles.Exists(string path) => _files.Keys.Any(k => k == path || k.StartsWith(path + "/", StringComparison.Ordinal)) || Executables.Contains(path);

    string? ISystemFiles.Resolve(string path) => Links.TryGetValue(path, out var target) ? target : path;

    bool ISystemFiles.IsExecutable(string path) => Executables.Contains(path);

    IReadOnlyList<string> ISystemFiles.FilesBelow(string folder, IReadOnlyCollection<string> without) =>
        [.. _files.Keys.Where(k => k.StartsWith(folder + "/", StringComparison.Ordinal)).Select(k => k[(folder.Length + 1)..]).Where(k => !k.Split('/')[..^1].Any(without.Contains))];
}
