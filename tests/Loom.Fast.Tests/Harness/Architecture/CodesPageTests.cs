using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Components;
using Loom.Harness.Tests.Reading;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

/// <summary>
/// The page of the codes says what happens: every code has an example that gives exactly the finding beside it, with line, column and remedy, and a mended one that
/// gives nothing.
/// </summary>
public sealed partial class CodesPageTests
{
    private const string TestFile = "numbers.test.yaml";

    private static readonly string s_page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "reference", "harness-codes.md"));

    public static TheoryData<string> Codes => [.. Sections().Select(s => s.Code)];

    [Fact]
    public void Page_OfAllCodes_HasEachOnce()
    {
        var known = typeof(Codes).GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic).Where(f => f.IsLiteral).Select(f => (string)f.GetValue(null)!).Order(StringComparer.Ordinal).ToList();
        known.ShouldBeUnique();
        Sections().Select(s => s.Code).ShouldBe(known);
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Example_Failing_GivesTheFindingOfThePage(string code)
    {
        var section = Sections().Single(s => s.Code == code);
        var expected = section.Blocks.Single(b => b.Word == "finding").Text.TrimEnd('\n').Split('\n');
        var lines = Findings(section, mended: false).Where(f => f.Code == code).Select(f => f.ToString()).ToArray();
        lines.ShouldBe(expected, $"{code} => {string.Join('\n', lines)}");
        lines.ShouldNotBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Example_Mended_GivesNothing(string code)
    {
        var section = Sections().Single(s => s.Code == code);
        if (code is "LH601" or "LH607")
        {
            // Locking is the remedy.
            var system = System(section, mended: false);
            system.With(LockContent.FileName, SystemLock.Compute(system.Load(), system, new FindingList())!.ToBytes());
            SystemLock.Verify(system.Load(), system).Findings.ShouldBeEmpty();
            return;
        }

        Findings(section, mended: true).ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Finding_OfEveryCode_SaysWhereAndWhatToDo(string code)
    {
        // A file as a whole has no line: one that is empty, and the lock.
        var place = code == "LH101" || code.StartsWith("LH60", StringComparison.Ordinal) ? "[a-z.]+" : "[a-z.]+:[1-9][0-9]*:[1-9][0-9]*";
        foreach (var line in Sections().Single(s => s.Code == code).Blocks.Single(b => b.Word == "finding").Text.TrimEnd('\n').Split('\n'))
        {
            line.ShouldMatch($"^{place}: (error|warning) {code}: .+; .+$");
        }
    }

    private static IReadOnlyList<Finding> Findings(Section section, bool mended)
    {
        var system = System(section, mended);
        var loaded = system.Load();
        if (section.Code.StartsWith("LH9", StringComparison.Ordinal))
        {
            var findings = new FindingList();
            if (loaded.Plan is { } plan && new TestFileReader(system, findings).Read(Path.Combine(MemorySystem.Folder, TestFile), TestFile) is { } file)
            {
                new TestChecks(plan, findings).Check(file);
            }

            return [.. loaded.Findings, .. findings.Sorted()];
        }

        if (mended || loaded.HasErrors || !section.Code.StartsWith("LH6", StringComparison.Ordinal))
        {
            return loaded.Findings;
        }

        var mode = section.Blocks.SelectMany(b => b.Flags).First(f => f.StartsWith("lock=", StringComparison.Ordinal))[5..];
        if (mode is "mended" or "swapped")
        {
            var agreed = mode == "swapped" ? system : System(section, mended: true);
            var content = SystemLock.Compute(agreed.Load(), agreed, new FindingList())!;
            system.With(LockContent.FileName, (mode == "swapped" ? Swapped(content, "show") : content).ToBytes());
        }

        return SystemLock.Verify(loaded, system).Findings;
    }

    // The hash stays, as it does under an editor.
    private static LockContent Swapped(LockContent content, string component)
    {
        var chain = content.Components[component].Chain.ToList();
        var at = chain.FindIndex(c => c.Name == "Retry");
        (chain[at], chain[at + 1]) = (chain[at + 1], chain[at]);
        var components = content.Components.ToDictionary(c => c.Key, c => c.Key == component ? c.Value with { Chain = chain } : c.Value, StringComparer.Ordinal);
        return content with { Components = components };
    }

    private static MemorySystem System(Section section, bool mended)
    {
        var system = new MemorySystem { Components = ComponentCatalog.BuiltIns, Environment = { ["PATH"] = "/bin" }, Executables = { "/bin/cat" } };
        foreach (var block in section.Blocks.Where(b => b.Word == "failing" || (mended && b.Word == "mended")))
        {
            if (mended && block.Word == "failing" && block.File == LockContent.FileName)
            {
                continue;
            }

            system.With(block.File, (block.Flags.Contains("latin1") ? Encoding.Latin1 : Encoding.UTF8).GetBytes(block.Text));
        }

        return system;
    }

    private static List<Section> Sections()
    {
        var sections = new List<Section>();
        foreach (var part in Heading().Split(s_page).Skip(1).Chunk(2))
        {
            var blocks = Fence().Matches(part[1]).Select(m => new Block(m.Groups[1].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries), m.Groups[2].Value)).ToList();
            sections.Add(new Section(part[0], blocks));
        }

        return sections;
    }

    [GeneratedRegex("^### (LH[0-9]{3}): .*$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex("^```(?:yaml|text) (.*)\n((?:(?!```).*\n)*)```$", RegexOptions.Multiline)]
    private static partial Regex Fence();

    private sealed record Section(string Code, List<Block> Blocks);

    // Word, flags, and a file last.
    private sealed record Block(string[] Flags, string Text)
    {
        public string Word => Flags[0];

        public string File => Flags[^1];
    }
}
