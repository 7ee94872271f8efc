using System.CommandLine;

namespace Loom.Cli.Verbs;

/// <summary>
/// Ties the life of <c>loom up</c> to the program that started it: that program holds the write end of its stdin, and when it closes it, or ends in whatever
/// way (kill -9 included), the read end comes to its end and an ordered stop begins. The C# API starts <c>loom</c> so.
/// </summary>
internal static class StdinLeash
{
    /// <summary>Hidden flag that asks for it.</summary>
    public static Option<bool> Flag { get; } = new("--stop-with-stdin") { Description = "Stop in order when stdin comes to its end", Hidden = true };

    /// <summary>Begins to watch when the flag is given; call it after a hand-over, since what is read here is gone for the next program.</summary>
    public static void Watch(ParseResult parse, ProcessSignals signals)
    {
        if (parse.GetValue(Flag))
        {
            // A thread of its own: a blocking read of stdin cannot be cancelled, and is no reason to keep the process.
            new Thread(() => Read(signals)) { IsBackground = true, Name = "stdin leash" }.Start();
        }
    }

    private static void Read(ProcessSignals signals)
    {
        try
        {
            using var input = Console.OpenStandardInput();
            var buffer = new byte[256];
            while (input.Read(buffer) > 0)
            {
                // What comes means nothing.
            }
        }
        catch (IOException)
        {
            // Whoever held it is gone.
        }

        try
        {
            signals.RequestStop();
        }
        catch (ObjectDisposedException)
        {
            // The command has ended by itself meanwhile.
        }
    }
}
