using System.Xml.Linq;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests;

/// <summary>The project graph is the wall; the table in docs/architecture.md and this one are the same.</summary>
public sealed class WallTests
{
    private static readonly Dictionary<string, string[]> s_allowed = new(StringComparer.Ordinal)
    {
        ["Loom.Sdk"] = [],
        ["Loom.Core"] = ["Loom.Sdk"],
        ["Loom.Processes"] = ["Loom.Core"],
        ["Loom.Control"] = ["Loom.Core", "Loom.Sdk"],
        ["Loom.Node"] = ["Loom.Core", "Loom.Sdk", "Loom.Processes"],
        ["Loom.Agents"] = ["Loom.Core", "Loom.Sdk", "Loom.Processes"],
        ["Loom.Harness"] = ["Loom.Core", "Loom.Sdk", "Loom.Processes"],
        ["Loom.Cli"] = ["Loom.Sdk", "Loom.Core", "Loom.Processes", "Loom.Control", "Loom.Node", "Loom.Agents", "Loom.Harness"],
    };

    [Fact]
    public void Projects_References_AreTheTableOfWalls()
    {
        var projects = Directory.GetFiles(Path.Combine(Repository.Root, "src"), "*.csproj", SearchOption.AllDirectories);
        projects.Select(Path.GetFileNameWithoutExtension).ShouldBe(s_allowed.Keys, ignoreOrder: true);
        foreach (var project in projects)
        {
            var references = XDocument.Load(project).Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value));
            references.ShouldBeSubsetOf(s_allowed[Path.GetFileNameWithoutExtension(project)], Path.GetFileName(project));
        }
    }
}
