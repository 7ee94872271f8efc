using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace Loom.Testing;

/// <summary>
/// A project folder and the real <c>loom</c> program running it, on free loopback ports. Disposal stops it and says so when something survived.
/// </summary>
public sealed class RunningLoom : IAsyncDisposable
{
    /// <summary>Deadline of every wait of the kit; generous, because the machine is shared.</summary>
    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(240);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _err = new();
    private readonly TaskCompletionSource<JsonElement> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private RunningLoom(string folder, Process process)
    {
        Folder = folder;
        _process = process;
    }

    /// <summary>Path of the program under test.</summary>
    public static string Program { get; } = Path.Combine(AppContext.BaseDirectory, "loom");

    /// <summary>The project's folder.</summary>
    public string Folder { get; }

    /// <summary>Pid of the program.</summary>
    public int Pid => _process.Id;

    /// <summary>Run id, which every child carries in its environment.</summary>
    public string RunId { get; private set; } = "";

    /// <summary>Address of the API without path; null for a project that serves nothing.</summary>
    public Uri Api { get; private set; } = null!;

    /// <summary>Token of the management routes.</summary>
    public string Token => File.ReadAllText(Path.Combine(Folder, ".loom", "run", "token")).Trim();

    /// <summary>What it wrote to stderr so far.</summary>
    public string Err => string.Join('\n', _err);

    /// <summary>Starts <c>loom up</c> and waits until it is ready.</summary>
    /// <param name="toml">Text of <c>loom.toml</c>.</param>
    /// <param name="environment">Variables added to the program's environment.</param>
    public static async Task<RunningLoom> UpAsync(string toml, params (string Name, string Value)[] environment)
    {
        var loom = Launch(NewFolder(toml), environment);
        try
        {
            await loom.WaitReadyAsync().ConfigureAwait(false);
            return loom;
        }
        catch
        {
            await loom.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>A temporary project folder.</summary>
    public static string NewFolder(string toml)
    {
        var folder = Directory.CreateTempSubdirectory("loom-test-").FullName;
        File.WriteAllText(Path.Combine(folder, "loom.toml"), toml);
        return folder;
    }

    /// <summary>Starts <c>loom up</c> in a folder without waiting.</summary>
    public static RunningLoom Launch(string folder, params (string Name, string Value)[] environment)
    {
        var process = StartProgram(folder, ["up", "--json", "--no-input"], environment);
        var loom = new RunningLoom(folder, process);
        process.OutputDataReceived += (_, line) => loom.OnLine(line.Data);
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null)
            {
                loom._err.Enqueue(line.Data);
            }
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return loom;
    }

    /// <summary>Runs a verb to its end.</summary>
    public static async Task<(int Exit, string Out, string Err)> RunAsync(string folder, string[] arguments, (string Name, string Value)[]? environment = null, string? input = null)
    {
        using var process = StartProgram(folder, arguments, environment ?? [], input is not null);
        if (input is not null)
        {
            await process.StandardInput.WriteAsync(input).ConfigureAwait(false);
            process.StandardInput.Close();
        }

        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Deadline).ConfigureAwait(false);
        return (process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
    }

    /// <summary>Waits for the ready line.</summary>
    public async Task WaitReadyAsync()
    {
        var exited = _process.WaitForExitAsync();
        var first = await Task.WhenAny(_ready.Task, exited).WaitAsync(Deadline).ConfigureAwait(false);
        if (first == exited)
        {
            throw new InvalidOperationException($"loom up ended with {_process.ExitCode} before it was ready:\n{Err}");
        }

        var document = await _ready.Task.ConfigureAwait(false);
        RunId = document.GetProperty("run_id").GetString()!;
        if (document.GetProperty("addresses").TryGetProperty("api", out var api))
        {
            Api = new Uri(api.GetString()!);
        }
    }

    /// <summary>Sends SIGKILL to the program alone; its guardian does the rest.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(Deadline).ConfigureAwait(false);
    }

    /// <summary>Sends a signal, SIGTERM unless another is named, and waits for the end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(int signal = Signals.Term)
    {
        if (!_process.HasExited)
        {
            Signals.Send(_process.Id, signal);
            await _process.WaitForExitAsync().WaitAsync(Deadline).ConfigureAwait(false);
        }

        return _process.ExitCode;
    }

    /// <summary>Processes of this run that are alive, by the run id in their environment.</summary>
    public IReadOnlyList<string> Survivors() => RunId.Length == 0 ? [] : ProcessesOf(RunId);

    /// <summary>Processes of a run that are alive: pid and command line of each.</summary>
    public static IReadOnlyList<string> ProcessesOf(string runId) => ProcessesWith("LOOM_RUN_ID=" + runId);

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync().ConfigureAwait(false);
        }
        finally
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
            TempFolder.Delete(Folder);
        }
    }

    private static Process StartProgram(string folder, string[] arguments, (string Name, string Value)[] environment, bool input = false)
    {
        var info = new ProcessStartInfo(Program)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = input,
        };
        foreach (var argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        info.Environment["ORCHESTRATORD_BIND_ADDR"] = "127.0.0.1:0";
        info.Environment["POOL_MANAGERD_BIND_ADDR"] = "127.0.0.1:0";
        info.Environment["LOOM_HARNESS__BIND"] = "127.0.0.1:0";
        info.Environment["PROMETHEUS_METRICS_PORT"] = "0";
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        return Process.Start(info)!;
    }

    /// <summary>Processes that are alive with <c>NAME=VALUE</c> in the environment they were started with: pid and command line of each.</summary>
    public static IReadOnlyList<string> ProcessesWith(string variable)
    {
        var found = new List<string>();
        foreach (var folder in Directory.GetDirectories("/proc").Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0])))
        {
            try
            {
                if (File.ReadAllText(folder + "/environ").Split('\0').Contains(variable))
                {
                    found.Add($"{Path.GetFileName(folder)} {File.ReadAllText(folder + "/cmdline").Replace('\0', ' ')}");
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked, or is not ours.
            }
        }

        return found;
    }

    private void OnLine(string? line)
    {
        if (line is not null && line.StartsWith('{') && !_ready.Task.IsCompleted)
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.TryGetProperty("addresses", out _))
            {
                _ready.TrySetResult(document.RootElement.Clone());
            }
        }
    }
}
