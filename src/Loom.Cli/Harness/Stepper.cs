using System.Globalization;
using System.Text.Json.Nodes;
using Loom.Cli.Terminal;
using Loom.Harness.Errors;
using Loom.Harness.Execution.Scheduling;

namespace Loom.Cli.Harness;

/// <summary>Shows each event before it is handled, and waits for a key, or for a line where the input is piped. Called by the one thread everything runs on, which it holds meanwhile.</summary>
/// <param name="terminal">Where to.</param>
/// <param name="end">Asks the run to end in order.</param>
/// <param name="stop">Fires when it is to end, whoever asked: then nothing is waited for.</param>
internal sealed class Stepper(Terminal.Terminal terminal, Action end, CancellationToken stop)
{
    /// <summary>Real time before the clock is moved: sources that look at the world again and again shall not do so as fast as they can.</summary>
    public static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    private const int MostShown = 100;
    private const int LookEveryMs = 20;

    private bool _free;

    /// <summary>What can be typed.</summary>
    public string Help => terminal.CanAsk ? "any key: next event; c: go on without stops; q: end in order" : "a line: next event; c: go on without stops; q: end in order; the end of the input: go on without stops";

    public void Ask(Turn turn)
    {
        if (_free || stop.IsCancellationRequested)
        {
            return;
        }

        Show(turn);
        switch (terminal.CanAsk ? Key() : Line())
        {
            case 'c':
                _free = true;
                break;
            case 'q':
                _free = true;
                end();
                break;
        }
    }

    private void Show(Turn turn)
    {
        var data = PayloadJson.Of(turn.Data).GetRawText();
        if (terminal.Json)
        {
            var json = new JsonObject { ["component"] = turn.Component, ["port"] = turn.Port, ["id"] = turn.Id.ToString(), ["count"] = turn.Count, ["data"] = JsonNode.Parse(data) };
            terminal.Out.WriteLine(json.ToJsonString());
        }
        else
        {
            var more = turn.Count > 1 ? string.Create(CultureInfo.InvariantCulture, $" and {turn.Count - 1} more") : "";
            terminal.Out.WriteLine($"{terminal.Paint(Tone.Strong, $"{turn.Component}.{turn.Port}")}  {turn.Id}{more}  {(data.Length > MostShown ? data[..MostShown] + "…" : data)}");
        }

        terminal.Out.Flush();
    }

    private char Key()
    {
        while (!stop.IsCancellationRequested)
        {
            if (Console.KeyAvailable)
            {
                return char.ToLowerInvariant(Console.ReadKey(intercept: true).KeyChar);
            }

            stop.WaitHandle.WaitOne(LookEveryMs);
        }

        return ' ';
    }

    // The end of the input goes on without stops. A stop does not wait for the line.
    private char Line()
    {
        var reading = Task.Run(terminal.In.ReadLine, CancellationToken.None);
        try
        {
            reading.Wait(stop);
        }
        catch (OperationCanceledException)
        {
            return ' ';
        }

        return reading.Result is { } line ? line.Trim() is [var first, ..] ? char.ToLowerInvariant(first) : ' ' : 'c';
    }
}
