using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components;
using Loom.Harness.Components.Options;
using Loom.Harness.Components.Reference;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

/// <summary>Every built-in, also the next one: it has its place on the reference page, and every way to get its config wrong is told with line, column and remedy.</summary>
public sealed class SweepTests
{
    private const int ConfigLine = 8;

    private static readonly string s_page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "reference", "harness-components.md"));

    public static TheoryData<string> Names => [.. ComponentCatalog.BuiltIns.All.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void BuiltIn_HasItsPlaceOnThePageWithEveryKey(string name)
    {
        var section = s_page.Split($"\n### `{name}`\n").Length == 2 ? s_page.Split($"\n### `{name}`\n")[1].Split("\n### ")[0] : "";
        section.ShouldContain("- ports:");
        var descriptor = ComponentCatalog.BuiltIns.Find(name)!;
        section.ShouldContain(descriptor.Summary.Replace("|", "\\|", StringComparison.Ordinal));
        foreach (var key in Keys(descriptor))
        {
            section.ShouldContain($"| `{key.Name}` "); // perhaps followed by a mark that it is hot
            key.Description.ShouldNotBeEmpty();
        }
    }

    [Fact]
    public void Examples_AreThoseOfTheBuiltInsAndOnThePage()
    {
        ComponentExample.Names.ShouldBe(ComponentCatalog.BuiltIns.All.Select(c => c.Name));
        foreach (var name in ComponentExample.Names)
        {
            s_page.Split($"\n### `{name}`\n")[1].Split("\n### ")[0].ShouldContain($"\n```yaml\n{ComponentExample.Of(name)}```\n", customMessage: name);
            ComponentExample.Of(name)!.ShouldContain($"uses: {name}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BuiltIn_KeyMisspelt_IsToldWithTheRightOne(string name)
    {
        var descriptor = ComponentCatalog.BuiltIns.Find(name)!;
        var key = Keys(descriptor).Select(k => k.Name).FirstOrDefault() ?? "key";
        var line = Lines(descriptor, $"{key}_: 1").Single(l => l.Contains("LH401", StringComparison.Ordinal));
        line.ShouldStartWith($"architecture.yaml:{ConfigLine}:7: error LH401: component \"it\" ");
        line.ShouldContain(descriptor.Options is null ? "takes no config; remove it" : $"has no config key \"{key}_\"; did you mean \"{key}\"?");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BuiltIn_KeyMissing_IsTold(string name)
    {
        var descriptor = ComponentCatalog.BuiltIns.Find(name)!;
        var lines = Lines(descriptor, null);
        foreach (var key in Keys(descriptor).Where(k => k.Required))
        {
            lines.ShouldContain(l => l.Contains($"error LH402: component \"it\" needs config key \"{key.Name}\"", StringComparison.Ordinal), $"{name}: {string.Join('\n', lines)}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BuiltIn_ValueOfTheWrongKind_IsToldAtItsPlace(string name)
    {
        var descriptor = ComponentCatalog.BuiltIns.Find(name)!;
        foreach (var key in Keys(descriptor))
        {
            // A list of lists is nothing that any key takes, but for free JSON.
            var lines = Lines(descriptor, $"{key.Name}: [[[1]], {{ [no]: way }}]").Concat(Lines(descriptor, $"{key.Name}: [[[1]]]"));
            lines.ShouldContain(l => l.StartsWith($"architecture.yaml:{ConfigLine}:", StringComparison.Ordinal) || key.Type == typeof(System.Text.Json.JsonElement), $"{name}.{key.Name}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void BuiltIn_NumberOutOfRange_IsToldWithWhatIsAllowed(string name)
    {
        var descriptor = ComponentCatalog.BuiltIns.Find(name)!;
        foreach (var key in Keys(descriptor).Where(k => k.Range is not null && (k.Type == typeof(int) || k.Type == typeof(long) || k.Type == typeof(double))))
        {
            var lines = Lines(descriptor, $"{key.Name}: -1");
            if (Convert.ToDouble(key.Range!.Minimum) > -1)
            {
                lines.ShouldContain(l => l.StartsWith($"architecture.yaml:{ConfigLine}:", StringComparison.Ordinal) && l.Contains($"error LH404: component \"it\": {key.Name} is -1; allowed is", StringComparison.Ordinal), $"{name}.{key.Name}: {string.Join('\n', lines)}");
            }
        }
    }

    private static IReadOnlyList<OptionKey> Keys(ComponentDescriptor descriptor) => descriptor.Options is { } options ? OptionsShape.Of(options).Keys : [];

    private static string[] Lines(ComponentDescriptor descriptor, string? config) => new MemorySystem($$"""
        schema_version: "1.0.0"
        system: { name: sweep, version: 1.0.0 }
        components:
          - name: it
            type: {{ComponentPlanner.NameOf(descriptor.Type)}}
            uses: {{descriptor.Name}}
            config:{{(config is null ? " {}" : $"\n      {config}")}}
        """) { Components = ComponentCatalog.BuiltIns }.Lines();
}
