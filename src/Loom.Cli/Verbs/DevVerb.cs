using System.Collections.Immutable;
using System.CommandLine;
using Loom.Cli.Terminal;
using Loom.Node.Mock;

namespace Loom.Cli.Verbs;

/// <summary><c>loom dev</c>: doubles for development and tests. Whatever they answer says <c>"mock":true</c>.</summary>
public static class DevVerb
{
    private static readonly Option<int> s_port = new("--port") { Description = "Port on 127.0.0.1; 0 = any free port", DefaultValueFactory = _ => 0 };
    private static readonly Option<string> s_model = new("--model") { Description = "Model id it claims to serve", DefaultValueFactory = _ => "mock" };
    private static readonly Option<int> s_slots = new("--slots") { Description = "Requests it answers at once", DefaultValueFactory = _ => 4 };
    private static readonly Option<int> s_ctx = new("--ctx") { Description = "Tokens per slot", DefaultValueFactory = _ => 8192 };
    private static readonly Option<double> s_ttft = new("--ttft-ms") { Description = "Pause before the first token", DefaultValueFactory = _ => 0 };
    private static readonly Option<double> s_pace = new("--tokens-per-second") { Description = "Pace of generation; 0 = as fast as it can", DefaultValueFactory = _ => 0 };
    private static readonly Option<double> s_prefill = new("--prefill-tokens-per-second") { Description = "Pace of prompt processing; 0 = at once", DefaultValueFactory = _ => 0 };
    private static readonly Option<int?> s_jitter = new("--jitter-seed") { Description = "Vary every pause by 20 %, repeatably" };
    private static readonly Option<double> s_load = new("--load-ms") { Description = "Time until it says it is healthy", DefaultValueFactory = _ => 0 };
    private static readonly Option<bool> s_logprobs = new("--logprobs") { Description = "Whether it answers log-probabilities", DefaultValueFactory = _ => true };
    private static readonly Option<string> s_fault = new("--fault") { Description = "Fault of every request without an x-mock-fault header: " + MockFault.Grammar, DefaultValueFactory = _ => "none" };

    private static readonly Option<string> s_routes = new("--routes")
    {
        Description = $"Routes it offers beside chat, completions and embeddings: {string.Join(", ", MockRoutes.Further)}, or none",
        DefaultValueFactory = _ => string.Join(',', MockRoutes.Further),
    };

    public static Command Create(Action crash)
    {
        var mock = Verb.Create(
            "mock-engine",
            "Run a mock inference engine: deterministic words, paced, with faults on request",
            ["loom dev mock-engine --port 28080 --tokens-per-second 100", "curl -H 'x-mock-fault: reset:5' http://127.0.0.1:28080/v1/completions -d '{\"prompt\":\"hi\",\"stream\":true}'"],
            (context, parse, cancellationToken) => RunAsync(context, parse, crash, cancellationToken));
        foreach (var option in new Option[] { s_port, s_model, s_slots, s_ctx, s_ttft, s_pace, s_prefill, s_jitter, s_load, s_logprobs, s_routes, s_fault })
        {
            mock.Options.Add(option);
        }

        return new Command("dev", "Doubles for development and tests") { mock, MockNodesVerb.Create() };
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, Action crash, CancellationToken cancellationToken)
    {
        MockFault fault;
        ImmutableArray<string> routes;
        try
        {
            fault = MockFault.Parse(parse.GetValue(s_fault)!);
            routes = MockRoutes.Parse(parse.GetValue(s_routes)!);
        }
        catch (FormatException e)
        {
            throw new CliError(ExitCode.Usage, "USAGE", e.Message);
        }

        var options = new MockEngineOptions
        {
            Port = parse.GetValue(s_port),
            Model = parse.GetValue(s_model)!,
            Slots = parse.GetValue(s_slots),
            Ctx = parse.GetValue(s_ctx),
            TimeToFirstToken = TimeSpan.FromMilliseconds(parse.GetValue(s_ttft)),
            TokensPerSecond = parse.GetValue(s_pace),
            PrefillTokensPerSecond = parse.GetValue(s_prefill),
            JitterSeed = parse.GetValue(s_jitter),
            Load = TimeSpan.FromMilliseconds(parse.GetValue(s_load)),
            Logprobs = parse.GetValue(s_logprobs),
            Routes = routes,
            Fault = fault,
        };
        try
        {
            var engine = await MockEngine.StartAsync(options, context.Time, crash, cancellationToken).ConfigureAwait(false);
            await using (engine.ConfigureAwait(false))
            {
                context.Terminal.Out.WriteLine(context.Terminal.Json ? $$"""{"schema":1,"url":"{{engine.Url}}","mock":true}""" : $"mock engine ready at {engine.Url}");
                await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Usage, "PORT_TAKEN", e.Message, "choose another --port");
        }

        return ExitCode.Ok;
    }
}
