using System.Globalization;
using System.Xml;
using Loom.Harness.Tests.Running;

namespace Loom.Harness.Tests;

/// <summary>Results as build servers read them: a suite for each test file, a case for each case.</summary>
internal static class JUnit
{
    public static void Write(Stream into, IEnumerable<(TestFile File, IReadOnlyList<CaseResult> Results)> all)
    {
        var suites = all.ToList();
        using var xml = XmlWriter.Create(into, new XmlWriterSettings { Indent = true, CheckCharacters = false });
        xml.WriteStartElement("testsuites");
        Counts(xml, suites.SelectMany(s => s.Results));
        foreach (var (file, results) in suites)
        {
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", file.Name);
            Counts(xml, results);
            foreach (var result in results)
            {
                Case(xml, file, result);
            }

            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    private static void Case(XmlWriter xml, TestFile file, CaseResult result)
    {
        xml.WriteStartElement("testcase");
        xml.WriteAttributeString("name", Clean(result.Case.Name));
        xml.WriteAttributeString("classname", file.Name);
        xml.WriteAttributeString("file", file.Name);
        xml.WriteAttributeString("line", result.Case.Place.Line.ToString(CultureInfo.InvariantCulture));
        xml.WriteAttributeString("time", Seconds(result.Took));
        if (!result.Passed)
        {
            xml.WriteStartElement("failure");
            xml.WriteAttributeString("message", Clean($"{result.Differences[0].Place}: {result.Differences[0].Text}"));
            xml.WriteString(Clean(string.Join('\n', result.Differences.SelectMany(d => d.Lines()).Concat(result.Notes))));
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    private static void Counts(XmlWriter xml, IEnumerable<CaseResult> results)
    {
        var all = results.ToList();
        xml.WriteAttributeString("tests", all.Count.ToString(CultureInfo.InvariantCulture));
        xml.WriteAttributeString("failures", all.Count(r => !r.Passed).ToString(CultureInfo.InvariantCulture));
        xml.WriteAttributeString("errors", "0");
        xml.WriteAttributeString("time", Seconds(TimeSpan.FromTicks(all.Sum(r => r.Took.Ticks))));
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture);

    // XML has no way to write most control characters.
    private static string Clean(string text) => string.Concat(text.Select(c => XmlConvert.IsXmlChar(c) || char.IsSurrogate(c) ? c : '?'));
}
