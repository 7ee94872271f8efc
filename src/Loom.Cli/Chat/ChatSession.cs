using System.Text;
using Loom.Clients;
using Loom.Cli.Terminal;

namespace Loom.Cli.Chat;

/// <summary>A conversation on a terminal: lines in, streamed answers out, slash commands between.</summary>
internal sealed class ChatSession(ModelClient client, Terminal.Terminal terminal, ChatOptions options, string? description)
{
    private const string Help = "/help  /clear (forget the conversation)  /history  /model ID  /stream (on or off)  /quit";
    private readonly List<ChatMessage> _messages = options.System is null ? [] : [new ChatMessage("system", options.System)];
    private string _model = options.Model;
    private bool _stream = true;
    private string? _toldOnce = description;

    /// <summary>Runs until <c>/quit</c>, end of input or a stop.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(CancellationToken stop)
    {
        terminal.Note($"talking to {terminal.Paint(Tone.Strong, _model)}; {Help}");
        while (!stop.IsCancellationRequested)
        {
            terminal.Out.Write(terminal.Paint(Tone.Strong, "> "));
            var line = await ReadLineAsync(stop).ConfigureAwait(false);
            if (line is null || string.Equals(line.Trim(), "/quit", StringComparison.Ordinal))
            {
                return ExitCode.Ok;
            }

            if (line.TrimStart().StartsWith('/'))
            {
                Command(line.Trim());
            }
            else if (line.Trim().Length > 0)
            {
                await TurnAsync(line, stop).ConfigureAwait(false);
            }
        }

        return ExitCode.Ok;
    }

    /// <summary>One message, one answer; for use without a terminal.</summary>
    public async Task<int> OnceAsync(string message, CancellationToken stop)
    {
        _messages.Add(new ChatMessage("user", message));
        await foreach (var piece in client.ChatAsync(Request(), stop).ConfigureAwait(false))
        {
            terminal.Out.Write(piece);
            await terminal.Out.FlushAsync(stop).ConfigureAwait(false);
        }

        terminal.Out.WriteLine();
        return ExitCode.Ok;
    }

    private async Task TurnAsync(string line, CancellationToken stop)
    {
        _messages.Add(new ChatMessage("user", line));
        var answer = new StringBuilder();
        try
        {
            await foreach (var piece in client.ChatAsync(Request(), stop).ConfigureAwait(false))
            {
                answer.Append(piece);
                if (_stream)
                {
                    terminal.Out.Write(piece);
                    await terminal.Out.FlushAsync(stop).ConfigureAwait(false);
                }
            }

            terminal.Out.WriteLine(_stream ? "" : answer.ToString());
            _messages.Add(new ChatMessage("assistant", answer.ToString()));
            if (_toldOnce is not null)
            {
                terminal.Out.WriteLine(terminal.Paint(Tone.Dim, $"({_toldOnce})"));
                _toldOnce = null;
            }
        }
        catch (ModelException e)
        {
            // The conversation goes on without the turn that failed.
            _messages.RemoveAt(_messages.Count - 1);
            terminal.Out.WriteLine();
            terminal.Err.WriteLine(terminal.Paint(Tone.Bad, "loom: ") + e.Message);
        }
    }

    private void Command(string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        var (name, rest) = space < 0 ? (line, "") : (line[..space], line[space..].Trim());
        switch (name)
        {
            case "/clear":
                _messages.RemoveAll(m => !string.Equals(m.Role, "system", StringComparison.Ordinal));
                terminal.Out.WriteLine("forgotten");
                break;
            case "/history":
                foreach (var message in _messages)
                {
                    terminal.Out.WriteLine($"{message.Role}: {message.Content}");
                }

                break;
            case "/model" when rest.Length > 0:
                _model = rest;
                terminal.Out.WriteLine($"talking to {_model}");
                break;
            case "/stream":
                _stream = !_stream;
                terminal.Out.WriteLine(_stream ? "streaming on" : "streaming off");
                break;
            default:
                terminal.Out.WriteLine(Help);
                break;
        }
    }

    private ChatRequest Request() => new() { Model = _model, Messages = [.. _messages], MaxTokens = options.MaxTokens, Temperature = options.Temperature, Seed = options.Seed };

    // Console reads cannot be cancelled; the read is left behind when the process is asked to stop.
    private async Task<string?> ReadLineAsync(CancellationToken stop)
    {
        var read = Task.Run(terminal.In.ReadLine, CancellationToken.None);
        try
        {
            return await read.WaitAsync(stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            terminal.Out.WriteLine();
            return null;
        }
    }
}

/// <summary>What the user asked for on the command line.</summary>
internal sealed record ChatOptions(string Model, string? System, int? MaxTokens, double? Temperature, long? Seed);
