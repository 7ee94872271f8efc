using System.Globalization;
using System.Text;

namespace Loom.Load;

/// <summary>Prints rows as they are measured and keeps them as Markdown: medians over rounds, ratios to the peers, completion rate beside every figure.</summary>
internal sealed class Report
{
    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    public void Line(string text)
    {
        Console.WriteLine(text);
        _text.AppendLine(text);
    }

    public void Requests(string title, Dictionary<string, List<Sample>> samples)
    {
        Head(title, "contender | requests/s | p50 ms | p99 ms | req/s to nginx | p50 to nginx | p99 to nginx | completed");
        var nginx = samples["nginx"];
        foreach (var (name, list) in samples)
        {
            Row(
                name,
                Number(Median(list, s => s.PerSecond), 0),
                Number(Median(list, s => s.Quantile(0.5)), 3),
                Number(Median(list, s => s.Quantile(0.99)), 3),
                Ratio(Median(list, s => s.PerSecond), Median(nginx, s => s.PerSecond)),
                Ratio(Median(list, s => s.Quantile(0.5)), Median(nginx, s => s.Quantile(0.5))),
                Ratio(Median(list, s => s.Quantile(0.99)), Median(nginx, s => s.Quantile(0.99))),
                Completed(list));
        }
    }

    public void Streams(string title, Dictionary<string, List<Sample>> firsts, Dictionary<string, List<Sample>> gaps)
    {
        Head(title, "contender | first event p50 ms | added to direct ms | gap p50 ms | gap p99 ms | gap p99 to direct | completed");
        var direct = Median(firsts["direct"], s => s.Quantile(0.5));
        var directGap = Median(gaps["direct"], s => s.Quantile(0.99));
        foreach (var (name, list) in firsts)
        {
            var p50 = Median(list, s => s.Quantile(0.5));
            var gap = Median(gaps[name], s => s.Quantile(0.99));
            Row(name, Number(p50, 3), Number(p50 - direct, 3), Number(Median(gaps[name], s => s.Quantile(0.5)), 3), Number(gap, 3), Ratio(gap, directGap), Completed(list));
        }
    }

    public void Events(string title, Dictionary<string, List<Sample>> samples)
    {
        Head(title, "contender | events/s | to nginx | to direct");
        foreach (var (name, list) in samples)
        {
            var rate = Median(list, s => s.PerSecond);
            Row(name, Number(rate, 0), Ratio(rate, Median(samples["nginx"], s => s.PerSecond)), Ratio(rate, Median(samples["direct"], s => s.PerSecond)));
        }
    }

    public void Rates(string title, string to, Dictionary<string, List<double>> rates)
    {
        Head(title, $"contender | per second | to {to}");
        foreach (var (name, list) in rates)
        {
            Row(name, Number(Sample.Median(list), 0), Ratio(Sample.Median(list), Sample.Median(rates[to])));
        }
    }

    /// <summary>How much each contender adds to the engine's own answer time, beside a peer.</summary>
    public void Added(string title, string peer, Dictionary<string, List<Sample>> samples)
    {
        var direct = Median(samples["direct"], s => s.Quantile(0.5));
        Head(title, $"contender | p50 ms | added p50 ms | added, to {peer} | completed");
        var added = Median(samples[peer], s => s.Quantile(0.5)) - direct;
        foreach (var (name, list) in samples)
        {
            var p50 = Median(list, s => s.Quantile(0.5));
            Row(name, Number(p50, 3), Number(p50 - direct, 3), Ratio(p50 - direct, added), Completed(list));
        }
    }

    public void Cancel(string phase, Sample sample) =>
        Line($"- disconnect to idle slot, {phase}: p50 {Number(sample.Quantile(0.5), 1)} ms, p99 {Number(sample.Quantile(0.99), 1)} ms (limit 200), {sample.Completed} of {sample.Sent}");

    public void Memory(string title, long bytes) => Line($"- memory, {title}: {Number(bytes / 1e6, 0)} MB resident");

    private static double Median(List<Sample> samples, Func<Sample, double> value) => Sample.Median(samples.Select(value));

    private static string Completed(List<Sample> samples) => (100.0 * samples.Sum(s => s.Completed) / samples.Sum(s => s.Sent)).ToString("0.00", CultureInfo.InvariantCulture) + " %";

    private static string Number(double value, int digits) => value.ToString("F" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private static string Ratio(double value, double other) => (value / other).ToString("0.00", CultureInfo.InvariantCulture) + "×";

    private void Head(string title, string columns)
    {
        Line("");
        Line("### " + title);
        Line("");
        Line("| " + columns + " |");
        Line("|" + string.Concat(Enumerable.Repeat("---|", columns.Split('|').Length)));
    }

    private void Row(params string[] cells) => Line("| " + string.Join(" | ", cells) + " |");
}
