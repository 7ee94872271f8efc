using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Node.Mock.Nodes;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary><c>loom dev mock-nodes</c>: many nodes in one process, as a control plane sees them.</summary>
internal static class MockNodesVerb
{
    private static readonly Option<int> s_count = new("--count") { Description = "How many nodes", DefaultValueFactory = _ => 1 };
    private static readonly Option<string> s_url = new("--url") { Description = "The control plane", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
    private static readonly Option<int> s_port = new("--port") { Description = "Port on 127.0.0.1 that all of them answer on; 0 = any free port", DefaultValueFactory = _ => 0 };
    private static readonly Option<int> s_pools = new("--pools") { Description = "Pools of each node", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> s_slots = new("--slots") { Description = "Slots of each pool", DefaultValueFactory = _ => 4 };
    private static readonly Option<string> s_model = new("--model") { Description = "Model each pool says it has", DefaultValueFactory = _ => "mock" };
    private static readonly Option<int> s_seed = new("--seed") { Description = "The same seed gives the same ids and jitter", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> s_script = new("--script") { Description = "What happens: one JSON object a line, see docs/operations/mock-nodes.md", HelpName = "FILE" };
    private static readonly Option<bool> s_all = new("--all") { Description = "Print every answer of the control plane, not only those that differ from the one before" };

    public static Command Create()
    {
        var command = Verb.Create(
            "mock-nodes",
            "Run mock nodes that register at a control plane, beat and serve, as a script says",
            ["loom dev mock-nodes --count 100 --url http://127.0.0.1:8080", "loom dev mock-nodes --count 4 --script flap.jsonl --seed 7 --json"],
            RunAsync);
        foreach (var option in new Option[] { s_count, s_url, s_port, s_pools, s_slots, s_model, s_seed, s_script, s_all })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var options = Options(context, parse);
        using var logging = new LoomLogging(null, static _ => LogLevel.Warning, json: false, (_, line) => context.Terminal.Err.WriteLine(line));
        using var loggers = new LoggerFactory([logging]);
        var output = TextWriter.Synchronized(context.Terminal.Out);
        MockNodes nodes;
        try
        {
            nodes = await MockNodes.StartAsync(options, context.Time, answer => output.WriteLine(Line(context, answer)), loggers, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Usage, "PORT_TAKEN", e.Message, "choose another --port");
        }

        await using (nodes.ConfigureAwait(false))
        {
            output.WriteLine(context.Terminal.Json
                ? JsonSerializer.Serialize(new MockNodesReady(1, nodes.Address.GetLeftPart(UriPartial.Authority), options.Count, true), MockNodesJson.Default.MockNodesReady)
                : $"{options.Count} mock nodes answer at {nodes.Address.GetLeftPart(UriPartial.Authority)}/nodes/…");
            output.Flush();
            await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var (key, count) in nodes.Counts.OrderBy(c => c.Key))
        {
            context.Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"{key.Did}: {count} times {(key.Status == 0 ? "no answer" : $"status {key.Status}")}"));
        }

        return ExitCode.Ok;
    }

    private static MockNodesOptions Options(VerbContext context, ParseResult parse)
    {
        if (!Uri.TryCreate(parse.GetValue(s_url), UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw new CliError(ExitCode.Usage, "USAGE", $"--url wants an http or https URL, found '{parse.GetValue(s_url)}'", "--url http://127.0.0.1:8080");
        }

        if (parse.GetValue(s_count) is < 0 or > 100_000 || parse.GetValue(s_pools) is < 0 or > 64 || parse.GetValue(s_slots) is < 1 or > 256)
        {
            throw new CliError(ExitCode.Usage, "USAGE", "--count wants 0 to 100000, --pools 0 to 64, --slots 1 to 256");
        }

        try
        {
            return new MockNodesOptions
            {
                Count = parse.GetValue(s_count),
                ControlPlane = url,
                Token = context.Environment.GetValueOrDefault("LLORCH_API_TOKEN"),
                Port = parse.GetValue(s_port),
                Pools = parse.GetValue(s_pools),
                Slots = parse.GetValue(s_slots),
                Model = parse.GetValue(s_model)!,
                Seed = parse.GetValue(s_seed),
                Script = parse.GetValue(s_script) is { } file ? MockStep.Read(File.ReadAllText(Path.GetFullPath(file, context.WorkingDirectory))) : [],
                TellAll = parse.GetValue(s_all),
            };
        }
        catch (FormatException e)
        {
            throw new CliError(ExitCode.Usage, "USAGE", e.Message, "docs/operations/mock-nodes.md describes the steps");
        }
    }

    private static string Line(VerbContext context, MockAnswer answer) => context.Terminal.Json
        ? JsonSerializer.Serialize(new MockNodesAnswer(answer.Node, answer.Did, answer.Status, answer.Message), MockNodesJson.Default.MockNodesAnswer)
        : string.Create(CultureInfo.InvariantCulture, $"{answer.Node} {answer.Did}: {(answer.Status == 0 ? "no answer" : answer.Status)} {answer.Message}").TrimEnd();
}

internal sealed record MockNodesReady(int Schema, string Url, int Nodes, bool Mock);

internal sealed record MockNodesAnswer(string Node, string Did, int Status, string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(MockNodesReady))]
[JsonSerializable(typeof(MockNodesAnswer))]
internal sealed partial class MockNodesJson : JsonSerializerContext;
