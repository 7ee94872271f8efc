using System.Net.Sockets;
using System.Text.Json;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli.Status;

/// <summary>
/// Asks the running project of a folder how it is. One blocking exchange, since nothing else waits meanwhile: the first asynchronous use of a socket starts an
/// engine with a thread of its own, and a short command would spend more on that than on its work.
/// </summary>
internal sealed class RunningProject(RunDirectory directory)
{
    private const int FirstBuffer = 64 * 1024;
    private static readonly byte[] s_question = """{"op":"status"}"""u8.ToArray();

    public RunDirectory Directory => directory;

    /// <summary>The project of this command; its run folder must be this user's own.</summary>
    /// <exception cref="CliError">There is no project here, or its run folder is somebody else's.</exception>
    public static RunningProject Of(VerbContext context)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        RunningApi.CheckOwner(directory);
        return new RunningProject(directory);
    }

    /// <summary>Its state now.</summary>
    /// <exception cref="CliError">Nothing runs (3), or what runs does not answer (7).</exception>
    public RunView Look(CancellationToken stop) => TryLook(stop) ?? throw NotRunning();

    /// <summary>Its state now; null when nothing runs.</summary>
    /// <exception cref="CliError">What runs does not answer (7).</exception>
    public RunView? TryLook(CancellationToken stop)
    {
        // Not by the socket's own timeouts: with one of them set, its blocking calls go by way of that engine after all.
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(Down.AnswerWithin);
        using var ended = patience.Token.UnsafeRegister(static s => ((Socket)s!).Dispose(), socket);
        try
        {
            try
            {
                socket.Connect(new UnixDomainSocketEndPoint(directory.Socket));
            }
            catch (SocketException) when (!patience.IsCancellationRequested)
            {
                return null;
            }

            socket.Send([.. s_question, (byte)'\n']);
            return Parse(ReadLine(socket));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or JsonException or InvalidOperationException or FormatException)
        {
            stop.ThrowIfCancellationRequested();
            throw NoAnswer();
        }
    }

    public CliError NotRunning() => new(ExitCode.NotRunning, "NOT_RUNNING", $"nothing is running in {directory.Project}", "loom up");

    public CliError NoAnswer() =>
        new(ExitCode.Conflict, "NO_ANSWER", $"the runtime of {directory.Project} does not answer within {Down.AnswerWithin.TotalSeconds:0} s", "loom down");

    private RunView Parse(ReadOnlyMemory<byte> line)
    {
        if (line.IsEmpty)
        {
            throw NoAnswer();
        }

        using var answer = JsonDocument.Parse(line);
        return answer.RootElement.Find("state") is { } state
            ? RunView.Parse(state)
            : throw new CliError(ExitCode.Failed, "REFUSED", answer.RootElement.Text("error") ?? "the runtime gave no state");
    }

    private static ReadOnlyMemory<byte> ReadLine(Socket socket)
    {
        var buffer = new byte[FirstBuffer];
        var used = 0;
        while (true)
        {
            var count = socket.Receive(buffer.AsSpan(used));
            if (count == 0)
            {
                return ReadOnlyMemory<byte>.Empty; // it went away in the middle
            }

            var end = buffer.AsSpan(used, count).IndexOf((byte)'\n');
            used += count;
            if (end >= 0)
            {
                return buffer.AsMemory(0, used - count + end);
            }

            if (used == buffer.Length)
            {
                Array.Resize(ref buffer, buffer.Length * 2);
            }
        }
    }
}
