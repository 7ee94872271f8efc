using System.Globalization;
using Loom.Load;

// loom-load serving LOOM [--rounds N] [--seconds S] [--out FILE]
if (args is not ["serving", var loom, .. var rest])
{
    Console.Error.WriteLine("usage: loom-load serving PATH_OF_LOOM [--rounds 5] [--seconds 4] [--out FILE]");
    return 2;
}

string Option(string name, string fallback) => Array.IndexOf(rest, name) is >= 0 and var i && i + 1 < rest.Length ? rest[i + 1] : fallback;
var rounds = int.Parse(Option("--rounds", "5"), CultureInfo.InvariantCulture);
var seconds = double.Parse(Option("--seconds", "4"), CultureInfo.InvariantCulture);
using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
var folder = Directory.CreateTempSubdirectory("loom-load-");
try
{
    var report = new Report();
    using (var stage = await Stage.SetAsync(Path.GetFullPath(loom), folder.FullName))
    {
        report.Memory("loom idle", stage.LoomProcess.Resident());
        await new Serving(stage, rounds, TimeSpan.FromSeconds(seconds), report).RunAsync(stop.Token);
    }

    if (Option("--out", "") is { Length: > 0 } file)
    {
        await File.WriteAllTextAsync(file, report.ToString(), stop.Token);
    }

    return 0;
}
finally
{
    folder.Delete(recursive: true);
}
