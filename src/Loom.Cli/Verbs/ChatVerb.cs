using System.CommandLine;
using Loom.Cli.Chat;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Clients;

namespace Loom.Cli.Verbs;

/// <summary><c>loom chat</c>: talk to a model of the running project.</summary>
public static class ChatVerb
{
    private static readonly Option<string?> s_model = new("--model", "-m") { Description = "Model id or alias (default: the first one the project serves)" };
    private static readonly Option<string?> s_system = new("--system") { Description = "System message" };
    private static readonly Option<int?> s_maxTokens = new("--max-tokens") { Description = "Most tokens of an answer" };
    private static readonly Option<double?> s_temperature = new("--temperature") { Description = "Sampling temperature" };
    private static readonly Option<long?> s_seed = new("--seed") { Description = "Seed: the same seed and prompt give the same answer" };

    public static Command Create()
    {
        var command = Verb.Create(
            "chat",
            "Talk to a model; without a terminal: one message from stdin, one answer",
            ["loom chat", "loom chat --model demo --seed 7", "echo 'the weaver' | loom chat --max-tokens 40"],
            RunAsync);
        foreach (var option in new Option[] { s_model, s_system, s_maxTokens, s_temperature, s_seed })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var api = await RunningApi.FindAsync(context, cancellationToken).ConfigureAwait(false);
        var message = context.Terminal.CanAsk ? null : await MessageAsync(context, cancellationToken).ConfigureAwait(false);
        using var http = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        var client = new ModelClient(http, api.Address, api.Token);
        try
        {
            var models = await client.ListAsync(cancellationToken).ConfigureAwait(false);
            var model = parse.GetValue(s_model) ?? (models.Count > 0 ? models[0].Id : throw new CliError(ExitCode.NotRunning, "NO_MODEL", "the project serves no model", "loom status"));
            var options = new ChatOptions(model, parse.GetValue(s_system), parse.GetValue(s_maxTokens), parse.GetValue(s_temperature), parse.GetValue(s_seed));
            var description = models.FirstOrDefault(m => string.Equals(m.Id, model, StringComparison.Ordinal))?.Description;
            var session = new ChatSession(client, context.Terminal, options, description);
            return message is null
                ? await session.RunAsync(cancellationToken).ConfigureAwait(false)
                : await session.OnceAsync(message, cancellationToken).ConfigureAwait(false);
        }
        catch (ModelException e)
        {
            throw new CliError(ExitCode.Failed, e.Code ?? "REFUSED", e.Message);
        }
        catch (HttpRequestException e)
        {
            throw new CliError(ExitCode.NotRunning, "NOT_RUNNING", $"nobody answers at {api.Address}: {e.Message}", "loom up");
        }
    }

    // A read of the console cannot be cancelled, not even where its method takes a token: it is left behind when the process is asked to stop.
    private static async Task<string> MessageAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var message = await Task.Run(context.Terminal.In.ReadToEnd, CancellationToken.None).WaitAsync(cancellationToken).ConfigureAwait(false);
        return string.IsNullOrWhiteSpace(message)
            ? throw new CliError(ExitCode.Usage, "NO_MESSAGE", "stdin holds no message, and there is no terminal to ask on", "echo 'the weaver' | loom chat")
            : message;
    }
}
