using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Loom.Runtime;

/// <summary>
/// Runs a project: its runtime and its agents, supervised by a <c>loom up</c> that belongs to this process. It ends with this process, also when that is killed.
/// Used once: start, wait or stop, dispose. Safe to use from several threads.
/// </summary>
public sealed class Orchestrator : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);
    private readonly OrchestratorConfig _config;
    private readonly string _project;
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource<JsonElement> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _over = new();
    private LoomProgram? _program;
    private Task _looking = Task.CompletedTask;
    private ImmutableArray<ProcessInfo> _processes = [];
    private int _started;
    private int _disposed;

    /// <summary>Creates one; nothing is started.</summary>
    /// <param name="config">What it runs.</param>
    public Orchestrator(OrchestratorConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        _config = config;
        _project = Path.GetFullPath(config.ProjectDir);
    }

    /// <summary>The processes as they were half a second ago or later; empty before the start.</summary>
    public IReadOnlyList<ProcessInfo> Processes => _processes;

    /// <summary>Addresses really bound, by part (<c>api</c>, <c>metrics</c>); empty before the start.</summary>
    public IReadOnlyDictionary<string, string> Addresses { get; private set; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Id of the run, which every process of it carries as <c>LOOM_RUN_ID</c>; empty before the start.</summary>
    public string RunId { get; private set; } = "";

    /// <summary>Starts the project and waits until its runtime is up and its agents have been started; how each of them is, <see cref="Processes"/> shows.</summary>
    /// <param name="cancellationToken">Gives the start up: what had started is stopped in order first.</param>
    /// <exception cref="ConfigException">The configuration is wrong; nothing was started.</exception>
    /// <exception cref="LoomException">It could not be started, or is running already.</exception>
    /// <exception cref="InvalidOperationException">It was started before.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _started, 1) != 0)
        {
            throw new InvalidOperationException("an Orchestrator is started once; create another one");
        }

        cancellationToken.ThrowIfCancellationRequested();
        _program = LoomProgram.Start(_config.Launch, _config.Arguments(), OnOutput, OnError);
        _looking = LookAsync();
        using var notice = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var telling = TellIfSlowAsync(notice.Token);
        try
        {
            await Task.WhenAny(_answer.Task, _program.Ended).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await notice.CancelAsync().ConfigureAwait(false);
            await telling.ConfigureAwait(false);
        }

        await ReadAnswerAsync(_program).ConfigureAwait(false);
        await LookOnceAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits until the project has ended, whoever ended it.</summary>
    /// <param name="cancellationToken">Ends the waiting; the project goes on.</param>
    /// <returns>The exit code of <c>loom up</c>: 0 after a clean stop, 130 after Ctrl-C, others as its reference lists them.</returns>
    public Task<int> WaitAsync(CancellationToken cancellationToken = default) => Program().Ended.WaitAsync(cancellationToken);

    /// <summary>Stops everything in order (dependents first, each with its grace) and waits for the end. Nothing happens when it has ended already.</summary>
    /// <param name="cancellationToken">Ends all patience: the runtime is killed, and its guardian ends what is left.</param>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (_program is not { } program || Volatile.Read(ref _disposed) != 0)
        {
            return;
        }

        await EndAsync(program, cancellationToken).ConfigureAwait(false);
    }

    private async Task EndAsync(LoomProgram program, CancellationToken cancellationToken)
    {
        program.CloseInput();
        using (cancellationToken.Register(program.Kill))
        {
            await program.Ended.ConfigureAwait(false);
        }

        await _over.CancelAsync().ConfigureAwait(false);
        await _looking.ConfigureAwait(false);
    }

    /// <summary>Stops what still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (_program is { } program)
        {
            await EndAsync(program, CancellationToken.None).ConfigureAwait(false);
            program.Dispose();
        }

        _over.Dispose();
    }

    /// <summary>Exit code of <c>loom up</c>; null before it has ended.</summary>
    internal int? ExitCode => _program?.Ended is { IsCompletedSuccessfully: true } ended ? ended.Result : null;

    private LoomProgram Program() => _program ?? throw new InvalidOperationException("call StartAsync first");

    /// <summary>Reads what the program said when it was ready, or when it had to give up.</summary>
    private async Task ReadAnswerAsync(LoomProgram program)
    {
        if (!_answer.Task.IsCompleted)
        {
            throw LoomAnswers.Failure(await program.Ended.ConfigureAwait(false), _errors);
        }

        var answer = await _answer.Task.ConfigureAwait(false);
        if (!answer.TryGetProperty("run_id", out var run))
        {
            await program.Ended.ConfigureAwait(false);
            throw LoomAnswers.Faults(answer);
        }

        if (answer.TryGetProperty("pid", out var pid) && pid.GetInt32() != program.Pid)
        {
            throw new LoomException(7, "ALREADY_RUNNING", $"the project {_project} is running already (pid {pid.GetInt32()})", $"loom down -C {_project}");
        }

        RunId = run.GetString()!;
        Addresses = answer.GetProperty("addresses").EnumerateObject().ToImmutableDictionary(a => a.Name, a => a.Value.GetString()!, StringComparer.Ordinal);
    }

    private async Task TellIfSlowAsync(CancellationToken cancellationToken)
    {
        if (_config.Progress is not { } progress)
        {
            return;
        }

        var pause = TimeSpan.FromSeconds(Math.Max(0.1, _config.StartupWaitSec));
        for (var waited = pause; ; waited += pause)
        {
            await Task.Delay(pause, _config.Launch.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            var slow = _processes.Where(p => p.State is not ("ready" or "completed")).Select(p => $"{p.Name} is {p.State}").ToList();
            progress.Report(string.Create(CultureInfo.InvariantCulture, $"still starting after {waited.TotalSeconds:0.#} s{(slow.Count == 0 ? "" : ": " + string.Join(", ", slow))}"));
        }
    }

    private async Task LookAsync()
    {
        while (!_over.IsCancellationRequested && !Program().Ended.IsCompleted)
        {
            await LookOnceAsync(_over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await Task.WhenAny(Task.Delay(s_look, _config.Launch.Time, _over.Token), Program().Ended).ConfigureAwait(false);
        }
    }

    private async Task LookOnceAsync(CancellationToken cancellationToken)
    {
        if (await RunningStatus.AskAsync(_project, cancellationToken).ConfigureAwait(false) is { } found)
        {
            _processes = found;
        }
    }

    private void OnOutput(string line)
    {
        // One document, on one line when ready, on several for faults of the configuration: the reader below knows when it is whole.
        if (LoomAnswers.TryComplete(_output, line) is { } document)
        {
            _answer.TrySetResult(document);
        }
    }

    private void OnError(string line)
    {
        const int Kept = 200;
        _errors.Enqueue(line);
        if (_errors.Count > Kept)
        {
            _errors.TryDequeue(out _);
        }

        _config.Progress?.Report(line);
    }
}
