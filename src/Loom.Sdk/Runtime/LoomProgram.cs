using System.Text;
// The one place outside Loom.Processes that starts a process, and only ever loom itself: this library references nothing, so that anybody can use it. What makes
// the class unfit elsewhere does no harm here: loom puts its own children into sessions of their own, cleans up after them, and ends when its stdin does.
#pragma warning disable RS0030
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace Loom.Runtime;

/// <summary>A <c>loom</c> that was started by this process. Its stdin is a pipe that only this process holds: closing it asks for an ordered stop.</summary>
internal sealed class LoomProgram : IDisposable
{
    private static readonly TimeSpan s_drain = TimeSpan.FromSeconds(2);
    private readonly Process _process;

    private LoomProgram(Process process, Task<int> ended)
    {
        _process = process;
        Pid = process.Id;
        Ended = ended;
    }

    public int Pid { get; }

    /// <summary>Completes with the exit code once it has ended and what it wrote was read.</summary>
    public Task<int> Ended { get; }

    /// <summary>Starts it.</summary>
    /// <param name="launch">Which one, and its environment.</param>
    /// <param name="arguments">Its command line.</param>
    /// <param name="output">Told each line of stdout.</param>
    /// <param name="error">Told each line of stderr.</param>
    /// <exception cref="LoomException">It cannot be found or started.</exception>
    public static LoomProgram Start(LoomLaunch launch, IEnumerable<string> arguments, Action<string> output, Action<string> error)
    {
        var executable = LoomExecutable.Find(launch);
        var info = new ProcessStartInfo(executable)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in launch.Environment)
        {
            info.Environment[name] = value;
        }

        try
        {
            var process = Process.Start(info)!;
            return new LoomProgram(process, EndAsync(process, ReadAsync(process.StandardOutput, output), ReadAsync(process.StandardError, error), launch.Time));
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new LoomException(1, "CANNOT_START", $"'{executable}' cannot be started: {e.Message}");
        }
    }

    /// <summary>Runs a short command to its end.</summary>
    public static async Task<(int Exit, string Out, string Err)> RunAsync(LoomLaunch launch, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var (output, error) = (new StringBuilder(), new StringBuilder());
        using var program = Start(launch, arguments, line => output.Append(line).Append('\n'), line => error.Append(line).Append('\n'));
        program.CloseInput();
        using var registration = cancellationToken.Register(program.Kill);
        var exit = await program.Ended.ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return (exit, output.ToString(), error.ToString());
    }

    /// <summary>Asks for an ordered stop. A second call does nothing.</summary>
    public void CloseInput()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended meanwhile.
        }
    }

    /// <summary>Ends it at once; what it had started is ended by its guardian.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended meanwhile.
        }
    }

    public void Dispose() => _process.Dispose();

    private static async Task<int> EndAsync(Process process, Task output, Task error, TimeProvider time)
    {
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);

        // Death decides, not the end of the pipes: a grandchild may hold those.
        await Task.WhenAny(Task.WhenAll(output, error), Task.Delay(s_drain, time, CancellationToken.None)).ConfigureAwait(false);
        return process.ExitCode;
    }

    private static async Task ReadAsync(StreamReader reader, Action<string> line)
    {
        try
        {
            while (await reader.ReadLineAsync(CancellationToken.None).ConfigureAwait(false) is { } text)
            {
                line(text);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The program is gone, or nobody listens any more.
        }
    }
}
#pragma warning restore RS0030
