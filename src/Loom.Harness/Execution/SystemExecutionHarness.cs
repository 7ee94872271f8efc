using System.Globalization;
using System.Text.Json;
using Loom.Harness.Alerts;
using Loom.Core.Storage;
using Loom.Harness.Api;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Checkpoints;
using Loom.Harness.Commands;
using Loom.Harness.Components;
using Loom.Harness.Errors;
using Loom.Harness.Secrets;
using Loom.Harness.Telemetry;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>A system's files are not as they must be for a run; the findings say where and what to do.</summary>
internal sealed class SystemFilesException(IReadOnlyList<Finding> findings, bool isLock) : Exception(findings.FirstOrDefault(f => f.Severity == Severity.Error)?.ToString() ?? "the system's files are wrong")
{
    public IReadOnlyList<Finding> Findings => findings;

    /// <summary>The files are right but not what was locked (exit 3); otherwise they are wrong (exit 2).</summary>
    public bool IsLock => isLock;
}

/// <summary>The system is run by another process, or twice by this one; the message says by which.</summary>
internal sealed class SystemRunsException(string message) : Exception(message);

/// <summary>
/// Loads a validated architecture with its deployment and lock, wires its components by bounded streams, and runs it through setup, process and cleanup. Single use:
/// <see cref="LoadAsync"/>, <see cref="RunAsync"/>, dispose.
/// </summary>
internal sealed class SystemExecutionHarness : IAsyncDisposable
{
    private static readonly CheckpointTimes s_atTheEnd = new(TimeSpan.FromDays(40), null);

    private readonly SystemAssembly _assembly;
    private readonly DeadLetters _letters;
    private readonly ConsistentErrorHandler _errors;
    private readonly IReadOnlyList<Webhook> _webhooks;
    private readonly HarnessRequest _request;
    private FileLock? _running;

    private SystemExecutionHarness(
        SystemAssembly assembly, DeadLetters letters, ConsistentErrorHandler errors, IReadOnlyList<Webhook> webhooks, HarnessRequest request, IReadOnlyList<string> notices)
    {
        (_assembly, _letters, _errors, _webhooks, _request) = (assembly, letters, errors, webhooks, request);
        Notices = notices;
    }

    public SystemAssembly Assembly => _assembly;

    public DeadLetters DeadLetters => _letters;

    public ConsistentErrorHandler Errors => _errors;

    /// <summary>Who is told of alerts.</summary>
    public IReadOnlyList<Webhook> Webhooks => _webhooks;

    /// <summary>Name of this process among others that run the same system.</summary>
    public required string Instance { get; init; }

    /// <summary>What was agreed, or, unlocked, what the files say; null where an input cannot be read.</summary>
    public LockContent? Lock { get; init; }

    /// <summary>Whether the run is not bound to a lock.</summary>
    public bool Unlocked => _request.Unlocked;

    /// <summary>What a person should read at the start.</summary>
    public IReadOnlyList<string> Notices { get; }

    /// <summary>Reads, checks and puts together; nothing runs yet.</summary>
    /// <exception cref="SystemFilesException">The files are wrong, or not what was locked.</exception>
    /// <exception cref="StateRequiredException">State is required and cannot be kept or resumed (exit 6).</exception>
    /// <exception cref="SystemRunsException">Another process runs it in the same folder.</exception>
    public static async Task<SystemExecutionHarness> LoadAsync(HarnessRequest request, HarnessWorld world, CancellationToken ct)
    {
        var (plan, agreed) = Agreed(request, world, out var warnings);
        var folder = Path.Combine(plan.Directory, ".loom", "harness", plan.Name);
        var running = Claim(plan, folder);
        try
        {
            return await PutTogetherAsync(request, world, plan, agreed, warnings, folder, running, ct).ConfigureAwait(false);
        }
        catch
        {
            running.Dispose();
            throw;
        }
    }

    // Two runs of one system would take each other's staged output and offsets.
    private static FileLock Claim(SystemPlan plan, string folder)
    {
        Directory.CreateDirectory(folder);
        if (FileLock.TryAcquire(Path.Combine(folder, "running")) is { } claimed)
        {
            return claimed;
        }

        var other = RunningSystem.In(plan.Directory).GetValueOrDefault(plan.Name);
        var who = other is null ? "" : string.Create(CultureInfo.InvariantCulture, $" (process {other.Pid}, {other.Address})");
        throw new SystemRunsException($"system \"{plan.Name}\" runs already in {plan.Directory}{who}; loom harness drain ends it");
    }

    private static async Task<SystemExecutionHarness> PutTogetherAsync(
        HarnessRequest request, HarnessWorld world, SystemPlan plan, LockContent? agreed, IReadOnlyList<Finding> warnings, string folder, FileLock running, CancellationToken ct)
    {
        world = world with { Logs = SecretLogs.Of(world.Logs, plan.Secrets) };
        var log = world.Logs.CreateLogger("Loom.Harness");
        var state = await OpenStateAsync(plan, request, folder, world, log, ct).ConfigureAwait(false);
        var origin = new ErrorOrigin(plan.Name, plan.Version, world.Instance, request.Unlocked) { Secrets = plan.Secrets, FieldsOf = (component, port) => SecretFields.Of(plan, component, port) };
        var errors = new ConsistentErrorHandler(origin, new ProcessResources(plan.Directory, world.Gpus, world.Time), world.Time, world.Random, log);
        var letters = new DeadLetters(new DeadLetterFiles(Path.Combine(folder, "dead"), world.Time), world.Time, log);
        if (request.Scheduler is { Step: { } step } scheduler)
        {
            // Whoever steps is one of those who are not to see it.
            scheduler.Step = turn => step(turn with { Data = origin.FieldsOf(turn.Component, turn.Port).Shown(PayloadJson.Of(turn.Data)) });
        }

        var factory = new ComponentFactory(world.Services, world.Logs);
        var commands = new CommandSurroundings
        {
            Supervisor = world.Supervisor,
            System = plan,
            StateFolder = folder,
            Time = world.Time,
            Loggers = world.Logs,
            Environment = world.Environment,
            Models = () => world.Services.GetService(typeof(IChatClient)) as IChatClient,
            Secrets = plan.Secrets,
            SetupTimeout = plan.Policy.SetupTimeout ?? world.Options.SetupTimeout,
        };
        var assembly = new SystemAssembly(plan, new RunMaterials
        {
            Time = request.Scheduler?.Time ?? world.Time,
            Scheduler = request.Scheduler,
            Random = world.Random,
            Logs = world.Logs,
            Times = TimesOf(plan.Policy, world.Options),
            Create = c => c.Uses.Command is null ? factory.Create(c) : CommandFactory.Create(c, commands),
            CreateCapability = factory.Create,
            DeadLetters = new DeadLetterDestination(errors, letters),
            Describe = f => JsonSerializer.SerializeToElement(errors.Describe(f), ErrorJson.Default.ErrorRecord),
            Clean = errors.Clean,
            State = state,
            Checkpoints = request.Scheduler is null ? CheckpointTimesOf(plan, world.Options) : s_atTheEnd,
            GraphHash = GraphDocument.Hash(plan),
            Facts = new RunFacts { DeadLetters = () => letters.Codes, DeadLetterTrouble = () => letters.Trouble, Resources = () => errors.Resources },
            Run = world.Random.Next(0, 1 << 24).ToString("x6", CultureInfo.InvariantCulture),
        });
        var webhooks = WebhooksOf(plan, assembly, world, log);
        return new SystemExecutionHarness(assembly, letters, errors, webhooks, request, [.. warnings.Select(w => w.ToString()), .. Notes(state)])
        {
            Instance = world.Instance,
            Lock = agreed,
            _running = running,
        };
    }

    /// <summary>Runs it to its end.</summary>
    public async Task<RunResult> RunAsync(RunTokens tokens)
    {
        Task<RunResult> Run() => _assembly.Run.RunAsync(tokens);
        var result = await (_request.Scheduler?.RunAsync(Run) ?? Run()).ConfigureAwait(false);
        result = result with { Reason = Clean(result.Reason) };
        result = result.ExitCode == RunResult.Ended && _request.Strict && _letters.Taken > 0
            ? result with { ExitCode = RunResult.DeadLetters, Reason = _letters.Taken == 1 ? "ended, and one event is a dead letter" : $"ended, and {_letters.Taken} events are dead letters" }
            : result;
        if (result.ExitCode == RunResult.Ended)
        {
            // Whoever was called out for it can go home. After a failure somebody still has to come.
            _assembly.Monitor.Alerts.End($"the system {result.Reason}");
        }

        return result;
    }

    /// <summary>A text as it may be told: without the system's secrets.</summary>
    public string Clean(string text) => _assembly.Secrets.In(text);

    public async ValueTask DisposeAsync()
    {
        using var running = _running;
        await Task.WhenAll(_webhooks.Select(w => w.DisposeAsync().AsTask())).ConfigureAwait(false);
        _assembly.Dispose();
        await _letters.DisposeAsync().ConfigureAwait(false);
        _errors.Dispose();
        if (_assembly.State is { } state)
        {
            await state.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static IReadOnlyList<Webhook> WebhooksOf(SystemPlan plan, SystemAssembly assembly, HarnessWorld world, ILogger log)
    {
        if (plan.Policy.Webhooks.Count == 0 || world.Services.GetService(typeof(HttpClient)) is not HttpClient http)
        {
            return [];
        }

        var alerts = assembly.Monitor.Alerts;
        var kept = new FiringAlerts(Path.Combine(plan.Directory, ".loom", "harness", plan.Name), log);
        Webhook[] webhooks = [.. plan.Policy.Webhooks.Select(w => new Webhook(w, plan, http, assembly.Materials.Run, world.Time, kept.Delivered, log))];
        alerts.Changed = change =>
        {
            var told = webhooks.Where(w => change.Rule.Webhook is null || change.Rule.Webhook == w.Name).ToList();
            told.ForEach(w => w.Tell(change));
            if (told.Count == 0)
            {
                kept.Delivered(change); // its webhook went with it: nobody is left to tell
            }
        };
        alerts.Resume(kept.Read());
        return webhooks;
    }

    private static (SystemPlan Plan, LockContent? Lock) Agreed(HarnessRequest request, HarnessWorld world, out IReadOnlyList<Finding> warnings)
    {
        var loaded = SystemLoader.Load(request.Directory, request.Deployment, world.Environment, world.Options);
        warnings = loaded.Findings;
        if (loaded.Plan is null || loaded.HasErrors)
        {
            throw new SystemFilesException(loaded.Findings, isLock: false);
        }

        if (request.Unlocked)
        {
            return (loaded.Plan, SystemLock.Compute(loaded, DiskSystemFiles.Instance, new FindingList()));
        }

        var verdict = SystemLock.Verify(loaded, DiskSystemFiles.Instance);
        return (verdict.Plan ?? throw new SystemFilesException(verdict.Findings, isLock: true), verdict.Lock);
    }

    // State is kept where something can be resumed: offsets of a source that reads again, state of a component, staged output.
    private static async Task<StateHome?> OpenStateAsync(SystemPlan plan, HarnessRequest request, string folder, HarnessWorld world, ILogger log, CancellationToken ct)
    {
        if (!plan.Components.Any(c => c.Descriptor.Replayable || c.Descriptor.StateVersion > 0 || c.Uses.Command is not null))
        {
            return null;
        }

        var choice = StateChoice.Of(plan, world.Options);
        var from = request.From is { } text
            ? CheckpointId.TryParse(text, out var id) ? id : throw new StateRequiredException(StateCodes.NoSuchCheckpoint, $"'{text}' names no checkpoint; loom harness checkpoints lists them")
            : (CheckpointId?)null;
        return await StateHome.OpenAsync(choice, new StateStart(request.Fresh, from) { Accept = c => GraphChange.Check(c.Id, c.Parts, plan.Components, [.. plan.Bindings.Where(b => b.Feedback).Select(CheckpointCoordinator.FeedbackPart)], request.DropState) }, plan.Name, folder, world.Time, log, ct).ConfigureAwait(false);
    }

    private static IEnumerable<string> Notes(StateHome? state)
    {
        if (state is null)
        {
            return [];
        }

        return state.Resumed is { } resumed
            ? [.. state.Notices, $"going on from checkpoint {resumed.Id} of {resumed.Time:yyyy-MM-dd HH:mm:ss} UTC; events after it come again"]
            : state.Notices;
    }

    private static LifecycleTimes TimesOf(PolicyPlan policy, HarnessOptions options) => new()
    {
        Setup = policy.SetupTimeout ?? options.SetupTimeout,
        Drain = policy.DrainTimeout ?? options.DrainTimeout,
        Cancel = policy.CancelTimeout ?? options.CancelTimeout,
        Cleanup = policy.CleanupTimeout ?? options.CleanupTimeout,
    };

    // System-wide: the smallest interval anyone asked for.
    private static CheckpointTimes CheckpointTimesOf(SystemPlan plan, HarnessOptions options)
    {
        var asked = plan.Components.Select(c => c.State).Append(plan.State).ToList();
        var interval = asked.Select(s => s.CheckpointInterval).Where(i => i is not null).Min() ?? options.CheckpointInterval;
        return new CheckpointTimes(interval, asked.Select(s => s.CheckpointIntervalItems).Where(i => i is not null).Min());
    }
}
