using System.Globalization;

namespace Loom.Cli.Harness;

/// <summary>The report of a check for people.</summary>
internal static class CheckText
{
    public static void Write(Terminal.Terminal terminal, CheckReport report)
    {
        var errors = report.Findings.Count(f => f.Severity == "error");
        var warnings = report.Findings.Length - errors;
        if (report.System is null)
        {
            terminal.Note(Count(errors, warnings));
            return;
        }

        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.System} {report.Version}: {report.Components} components, {report.Bindings} bindings, {(errors + warnings == 0 ? "nothing wrong" : Count(errors, warnings))}"));
        if (report.Guarantees.Length > 0)
        {
            terminal.Out.WriteLine("\nguarantees");
            terminal.Table([["FROM", "TO", "GUARANTEE", "WEAKEST LINK"], .. report.Guarantees.Select(g => new[] { g.Source, g.Sink, g.Delivery, Link(g) })]);
        }

        if (report.Conversions.Length > 0)
        {
            terminal.Out.WriteLine("\nconversions");
            terminal.Table([["BINDING", "FROM", "TO", "HOW"], .. report.Conversions.Select(c => new[] { c.Binding, c.From, c.To, c.How })]);
        }

        if (report.Schemas.Length > 0)
        {
            terminal.Out.WriteLine("\nschemas");
            terminal.Table([["SCHEMA", "VERSION", "CHECKED BY"], .. report.Schemas.Select(s => new[] { s.Id, s.Version, s.Path == "compiled" ? "code compiled for it" : "the JSON Schema library" })]);
        }

        terminal.Out.WriteLine("\nchains");
        terminal.Table([["COMPONENT", "CAPABILITIES, OUTERMOST FIRST"], .. report.Chains.Select(c => new[] { c.Component, string.Join(" > ", c.Capabilities) })]);
        if (report.Lock is "missing" or "differs")
        {
            terminal.Note(report.Lock == "missing" ? "\nnot locked yet: loom harness lock" : "\nnot what was locked; look at the differences above, then: loom harness lock");
        }
    }

    private static string Link(GuaranteeRow row)
    {
        var repeats = row.Repeats.Length == 0 ? "" : $"effects of {string.Join(", ", row.Repeats)} can repeat";
        return row.WeakestLink is null ? repeats.Length == 0 ? "-" : repeats : repeats.Length == 0 ? row.WeakestLink : $"{row.WeakestLink}; {repeats}";
    }

    private static string Count(int errors, int warnings) => string.Create(CultureInfo.InvariantCulture,
        $"{errors} error{(errors == 1 ? "" : "s")}{(warnings == 0 ? "" : $", {warnings} warning{(warnings == 1 ? "" : "s")}")}");
}
