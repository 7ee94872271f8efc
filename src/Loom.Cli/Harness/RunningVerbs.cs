using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Loom.Cli.Composition;
using Loom.Cli.Pools;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Api;

namespace Loom.Cli.Harness;

/// <summary>What is asked of a system that runs: <c>loom harness ps</c>, <c>drain</c> and <c>tap</c>.</summary>
internal static class RunningVerbs
{
    internal static readonly Option<string> DirectoryOption = new("--dir") { Description = "Folder of the system (default: this one)", DefaultValueFactory = _ => ".", HelpName = "DIR" };
    private static readonly Argument<string> s_of = HarnessSession.DirectoryArgument();

    public static Command Ps()
    {
        var command = Verb.Create(
            "ps", "Show what the components and streams of a running system are doing, and that every event is accounted for", ["loom harness ps", "loom harness ps samples/pipeline/enrich --json"],
            (context, parse, stop) => PsAsync(context, parse.GetValue(s_of)!, stop));
        command.Arguments.Add(s_of);
        return command;
    }

    public static Command Drain()
    {
        var command = Verb.Create(
            "drain", "Ask a running system to stop reading, empty its streams and end", ["loom harness drain", "loom harness drain samples/pipeline/log_stats"],
            async (context, parse, stop) =>
            {
                var (name, client) = Find(context, parse.GetValue(s_of)!);
                using (client)
                {
                    await client.PostAsync($"/v2/harness/systems/{name}/drain", null, stop).ConfigureAwait(false);
                    context.Terminal.Note($"{name} is draining");
                    return ExitCode.Ok;
                }
            });
        command.Arguments.Add(s_of);
        return command;
    }

    public static Command Tap()
    {
        Argument<string> stream = new("STREAM") { Description = "A binding's name, or an output as COMPONENT.PORT" };
        Option<string?> filter = new("--filter") { Description = "Only events for which this expression holds", HelpName = "EXPR" };
        Option<string> sample = new("--sample") { Description = "One event in N", DefaultValueFactory = _ => "1/1", HelpName = "1/N" };
        Option<long?> limit = new("--limit") { Description = "End after so many events" };
        var command = Verb.Create(
            "tap",
            "Look into a stream of a running system; it is never slowed down, and copies that were dropped are counted",
            ["loom harness tap chunk.out", "loom harness tap label.out --filter 'data.score > 0.9' --limit 10", "loom harness tap numbers.out --sample 1/1000 --json"],
            (context, parse, stop) => TapAsync(
                context, parse.GetValue(DirectoryOption)!, parse.GetValue(stream)!, parse.GetValue(filter), SampleOf(parse.GetValue(sample)!), parse.GetValue(limit) ?? long.MaxValue, stop));
        command.Arguments.Add(stream);
        command.Options.Add(DirectoryOption);
        command.Options.Add(filter);
        command.Options.Add(sample);
        command.Options.Add(limit);
        return command;
    }

    private static int SampleOf(string text) =>
        text.StartsWith("1/", StringComparison.Ordinal) && int.TryParse(text.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var every) && every > 0
            ? every
            : throw new CliError(ExitCode.Usage, "USAGE", $"--sample wants 1/N, found '{text}'", "--sample 1/100");

    /// <summary>The one system that runs in a folder.</summary>
    /// <exception cref="CliError">None does, or several.</exception>
    internal static (string Name, ManagementClient Client) Find(VerbContext context, string directory)
    {
        var folder = Path.GetFullPath(directory, context.WorkingDirectory);
        var running = RunningSystem.In(folder);
        return running.Count switch
        {
            0 => throw new CliError(ExitCode.NotRunning, "NOT_RUNNING", $"no system runs in {folder}", "loom harness run"),
            1 => (running.First().Key, new ManagementClient(new RunningApi(new Uri(running.First().Value.Address), running.First().Value.Token))),
            _ => throw new CliError(ExitCode.Usage, "USAGE", $"several systems run in {folder}: {string.Join(", ", running.Keys)}", "run each from a folder of its own"),
        };
    }

    private static async Task<int> PsAsync(VerbContext context, string directory, CancellationToken stop)
    {
        var (name, client) = Find(context, directory);
        using (client)
        {
            var health = await client.GetAsync($"/v2/harness/systems/{name}/health", stop).ConfigureAwait(false);
            var components = await client.GetAsync($"/v2/harness/systems/{name}/components", stop).ConfigureAwait(false);
            var alerts = await client.GetAsync($"/v2/harness/systems/{name}/alerts", stop).ConfigureAwait(false);
            var streams = await client.GetAsync($"/v2/harness/systems/{name}/streams", stop).ConfigureAwait(false);
            if (context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine($"{{\"health\":{health.GetRawText()},\"components\":{components.GetProperty("components").GetRawText()},\"streams\":{streams.GetProperty("streams").GetRawText()},\"alerts\":{alerts.GetProperty("alerts").GetRawText()}}}");
                return ExitCode.Ok;
            }

            context.Terminal.Out.WriteLine($"{name} {health.GetProperty("version").GetString()}: {health.GetProperty("health").GetString()}{(health.GetProperty("bottleneck").GetString() is { } slowest ? $", waits for {slowest}" : "")}");
            foreach (var reason in health.GetProperty("reasons").EnumerateArray().Where(r => !r.GetString()!.StartsWith("alert ", StringComparison.Ordinal)))
            {
                context.Terminal.Out.WriteLine(context.Terminal.Paint(Tone.Busy, "  " + reason.GetString()));
            }

            foreach (var alert in alerts.GetProperty("alerts").EnumerateArray().Where(a => a.GetProperty("state").GetString() != "inactive"))
            {
                context.Terminal.Out.WriteLine(context.Terminal.Paint(Tone.Bad, $"  alert {alert.GetProperty("name").GetString()} {alert.GetProperty("state").GetString()} since {Time(alert)}: {alert.GetProperty("expr").GetString()}"));
            }

            List<string[]> rows = [["COMPONENT", "STATE", "TAKEN", "DONE", "FILTERED", "DEAD", "LOST", "IN HAND", "SENT"]];
            rows.AddRange(components.GetProperty("components").EnumerateArray().Select(c => new[]
            {
                c.GetProperty("name").GetString()!, c.GetProperty("state").GetString()!, Number(c, "taken"), Number(c, "done"), Number(c, "filtered"), Number(c, "dead_lettered"), Number(c, "lost"), Number(c, "in_hand"), Number(c, "emitted"),
            }));
            context.Terminal.Out.WriteLine();
            context.Terminal.Table(rows);
            rows = [["STREAM", "DEPTH", "IN", "OUT", "DROPPED", "BLOCKED", "STARVED"]];
            rows.AddRange(streams.GetProperty("streams").EnumerateArray().Select(s => new[]
            {
                s.GetProperty("name").GetString()!, $"{Number(s, "depth")}/{Number(s, "capacity")}", Number(s, "in"), Number(s, "out"), Number(s, "dropped"), Seconds(s, "blocked_ms"), Seconds(s, "starved_ms"),
            }));
            context.Terminal.Out.WriteLine();
            context.Terminal.Table(rows);
            return ExitCode.Ok;
        }
    }

    private static string Time(JsonElement alert) => alert.GetProperty("since").GetDateTimeOffset().UtcDateTime.ToString("HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Number(JsonElement of, string name) => of.GetProperty(name).GetInt64().ToString("N0", CultureInfo.InvariantCulture);

    private static string Seconds(JsonElement of, string name) => string.Create(CultureInfo.InvariantCulture, $"{of.GetProperty(name).GetInt64() / 1000.0:F1} s");

    private static async Task<int> TapAsync(VerbContext context, string directory, string stream, string? filter, int sample, long limit, CancellationToken stop)
    {
        var (name, client) = Find(context, directory);
        using (client)
        {
            var path = $"/v2/harness/systems/{name}/tap?stream={Uri.EscapeDataString(stream)}&sample={sample}{(filter is null ? "" : $"&filter={Uri.EscapeDataString(filter)}")}";
            try
            {
                if (await ShowAsync(context, client.LinesAsync(path, stop), limit).ConfigureAwait(false) >= limit)
                {
                    return ExitCode.Ok;
                }
            }
            catch (IOException) when (!stop.IsCancellationRequested)
            {
                // The system was killed, or left without a word at its end.
            }

            context.Terminal.Note($"{name} has ended");
            return ExitCode.Ok;
        }
    }

    private static async Task<long> ShowAsync(VerbContext context, IAsyncEnumerable<string> lines, long limit)
    {
        var shown = 0L;
        var isItem = true;
        await foreach (var line in lines.ConfigureAwait(false))
        {
            if (line == ": on")
            {
                context.Terminal.Note("tapped; Ctrl+C ends the tap, not the system");
            }
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                isItem = line == "event: item";
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                if (!isItem)
                {
                    context.Terminal.Note($"copies dropped so far, because this terminal is slow: {line.AsSpan(6)}");
                    continue;
                }

                context.Terminal.Out.WriteLine(context.Terminal.Json ? line[6..] : Text(line[6..]));
                if (++shown >= limit)
                {
                    break;
                }
            }
        }

        return shown;
    }

    private static string Text(string json)
    {
        using var document = JsonDocument.Parse(json, Loom.Harness.Errors.PayloadJson.Around);
        return $"{document.RootElement.GetProperty("id").GetString()}  {document.RootElement.GetProperty("data").GetRawText()}";
    }
}
