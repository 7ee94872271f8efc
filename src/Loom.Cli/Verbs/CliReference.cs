using System.CommandLine;
using System.CommandLine.Help;
using System.Globalization;
using System.Text;

namespace Loom.Cli.Verbs;

/// <summary>The part of <c>docs/reference/cli.md</c> that is written from the commands themselves, so that document and help cannot differ.</summary>
internal static class CliReference
{
    private const string Heading = "## Verbs\n";

    /// <summary>The document with its section on verbs as the commands are now.</summary>
    /// <exception cref="InvalidDataException">It has no such section.</exception>
    public static string In(string document, Command root)
    {
        var start = document.IndexOf(Heading, StringComparison.Ordinal);
        if (start < 0)
        {
            throw new InvalidDataException($"the document has no section '{Heading.Trim()}'");
        }

        var end = document.IndexOf("\n## ", start + Heading.Length, StringComparison.Ordinal);
        return document[..start] + Section(root) + (end < 0 ? "" : document[end..]);
    }

    private static string Section(Command root)
    {
        var text = new StringBuilder(Heading);
        text.Append("Written from the commands by `loom config reference docs/reference`; do not edit this section.\n\n");
        text.Append("### Options of all verbs\n\n");
        Flags(text, root.Options.Where(o => o.Recursive && !o.Hidden && o is not HelpOption));
        text.Length--; // the next heading brings its own blank line
        foreach (var verb in root.Subcommands.Where(c => !c.Hidden))
        {
            Verb(text, "loom", verb);
        }

        return text.ToString();
    }

    private static void Verb(StringBuilder text, string path, Command command)
    {
        var name = $"{path} {command.Name}";
        if (command.Subcommands.Count > 0)
        {
            foreach (var below in command.Subcommands.Where(c => !c.Hidden))
            {
                Verb(text, name, below);
            }

            return;
        }

        text.Append(CultureInfo.InvariantCulture, $"\n### `{name}{string.Concat(command.Arguments.Select(Shape))}`\n\n{command.Description}.");
        text.Append(command.Aliases.Count > 0 ? $" Also `{path} {string.Join("`, `", command.Aliases)}`.\n\n" : "\n\n");
        Flags(text, command.Options.Where(o => !o.Hidden && !o.Recursive), command.Arguments);
        text.Append("```sh\n");
        foreach (var example in Examples.Of(command))
        {
            text.Append(example).Append('\n');
        }

        text.Append("```\n");
    }

    private static void Flags(StringBuilder text, IEnumerable<Option> options, IEnumerable<Argument>? arguments = null)
    {
        var rows = new List<(string Name, string Text)>();
        rows.AddRange((arguments ?? []).Select(a => ($"`{a.Name}`", a.Description ?? "")));
        rows.AddRange(options.Select(o => (string.Join(", ", o.Aliases.Prepend(o.Name).Select(n => $"`{n}{Value(o)}`")), o.Description ?? "")));
        if (rows.Count == 0)
        {
            return;
        }

        text.Append("| | |\n|---|---|\n");
        foreach (var (name, description) in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {name.Replace("|", "\\|", StringComparison.Ordinal)} | {description.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)} |\n");
        }

        text.Append('\n');
    }

    private static string Value(Option option) => option.ValueType == typeof(bool) ? "" : " " + (option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant());

    private static string Shape(Argument argument) => (argument.Arity.MinimumNumberOfValues, argument.Arity.MaximumNumberOfValues) switch
    {
        (0, 1) => $" [{argument.Name}]",
        (0, _) => $" [{argument.Name}..]",
        (_, 1) => " " + argument.Name,
        _ => $" {argument.Name}..",
    };
}
