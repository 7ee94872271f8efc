using System.Globalization;
using Loom.Load;
using Loom.Load.Supervision;

if (args is not [("serving" or "start" or "embedded" or "processes" or "micro" or "fleet" or "swap") and var what, .. var rest])
{
    Console.Error.WriteLine("usage: loom-load serving|start|fleet --loom PATH [--rounds 5] [--seconds 4] [--gateway SCRIPT] [--out FILE]");
    Console.Error.WriteLine("       loom-load micro [--rounds 5] [--out FILE]");
    Console.Error.WriteLine("       loom-load swap --loom PATH --adapter FOLDER --model FILE [--rounds 5] [--out FILE]");
    Console.Error.WriteLine("       loom-load embedded --adapter FOLDER --model FILE [--rounds 5] [--out FILE]");
    Console.Error.WriteLine("       loom-load processes --loom PATH --pm2 PATH [--rounds 5] [--out FILE] [--json FILE]");
    return 2;
}

string Option(string name, string? fallback) => Array.IndexOf(rest, name) is >= 0 and var i && i + 1 < rest.Length ? rest[i + 1]
    : fallback ?? throw new ArgumentException($"{name} is needed");
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
    switch (what)
    {
        case "start":
            StartUp.Run(Path.GetFullPath(Option("--loom", null)), folder.FullName, rounds, report);
            break;
        case "embedded":
            await Embedded.RunAsync(Path.GetFullPath(Option("--adapter", null)), Path.GetFullPath(Option("--model", null)), rounds, folder.FullName, report, stop.Token);
            break;
        case "micro":
            new Micro(rounds, report).Run();
            break;
        case "fleet":
            await Fleet.RunAsync(Path.GetFullPath(Option("--loom", null)), folder.FullName, report, stop.Token);
            break;
        case "swap":
            await Swap.RunAsync(
                Path.GetFullPath(Option("--loom", null)), Path.GetFullPath(Option("--adapter", null)), Path.GetFullPath(Option("--model", null)), rounds, folder.FullName, report, stop.Token);
            break;
        case "processes":
            Contender[] contenders =
            [
                new LoomContender(Path.GetFullPath(Option("--loom", null)), Path.Combine(folder.FullName, "l")),
                new Supervisord(Path.Combine(folder.FullName, "s")),
                new Pm2(Path.GetFullPath(Option("--pm2", null)), Path.Combine(folder.FullName, "p")),
            ];
            var raw = new SupervisionBench(contenders, folder.FullName, rounds, report).Run();
            if (Option("--json", "") is { Length: > 0 } json)
            {
                await File.WriteAllTextAsync(json, raw, stop.Token);
            }

            break;
        default:
            using (var stage = await Stage.SetAsync(Path.GetFullPath(Option("--loom", null)), Option("--gateway", ""), folder.FullName))
            {
                report.Memory("loom idle", stage.LoomProcess.Resident());
                await new Serving(stage, rounds, TimeSpan.FromSeconds(seconds), report).RunAsync(stop.Token);
                await new Endurance(stage, report).RunAsync(stop.Token);
            }

            break;
    }

    if (Option("--out", "") is { Length: > 0 } file)
    {
        await File.AppendAllTextAsync(file, report.ToString(), stop.Token);
    }

    return 0;
}
finally
{
    folder.Delete(recursive: true);
}
