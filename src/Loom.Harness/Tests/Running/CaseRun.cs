using System.Collections.Concurrent;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Commands;
using Loom.Harness.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;
using Loom.Harness.Tests.Matching;
using Loom.Harness.Tests.StandIns;

namespace Loom.Harness.Tests.Running;

/// <summary>Runs one case: the system with its stand-ins, under the deterministic scheduler unless the case wants real time, writing nothing but into a folder that is removed.</summary>
internal sealed class CaseRun(SystemPlan whole, TestCase test, TestWorld world) : IDisposable
{
    // Virtual time for streams to empty after sources were stopped; a retry may sleep long before it gives up.
    private static readonly TimeSpan s_drain = TimeSpan.FromHours(1);

    private readonly string _folder = Directory.CreateTempSubdirectory("loom-test-").FullName;
    private readonly DeterministicScheduler? _scheduler = test.Clock == TestClock.Virtual ? new DeterministicScheduler(test.Seed, test.Start) : null;
    private readonly Random _random = new(test.Seed);
    private readonly TestErrors _errors = new(whole.Secrets);
    private readonly ConcurrentDictionary<PortName, ConcurrentQueue<SeenEvent>> _seen = [];
    private readonly ConcurrentQueue<string> _problems = [];
    private readonly Dictionary<string, Recording> _recordings = new(StringComparer.Ordinal);
    private readonly List<string> _updated = [];
    private TestServices? _services;
    private TestServices? _liveServices;

    private TimeProvider Time => _scheduler?.Time ?? world.Time;

    /// <summary>Runs a case; what stands in the way of running it is a difference, so that other cases run.</summary>
    public static async Task<CaseResult> OfAsync(SystemPlan plan, TestCase test, TestWorld world, CancellationToken ct)
    {
        var begun = world.Time.GetTimestamp();
        try
        {
            using var run = new CaseRun(plan, test, world);
            return await run.RunAsync(ct).ConfigureAwait(false);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            var text = SecretText.In($"the case could not be run: {e.Message}", plan.Secrets);
            return new CaseResult(test, [new Difference(test.Place, text)], [], [], world.Time.GetElapsedTime(begun));
        }
    }

    /// <summary>The case, to its end or its timeout; nothing in the result shows a secret.</summary>
    public async Task<CaseResult> RunAsync(CancellationToken ct)
    {
        var begun = world.Time.GetTimestamp();
        _services = new TestServices(Time, _random, world.Logs, test.Live ? world.Live(Time) : null);
        var plan = TestPlan.Of(whole, test, Time);
        foreach (var (component, mock) in test.Mocks)
        {
            if (mock.Recording is { } path)
            {
                _recordings[component] = Recording.Open(path, world.Files, whole.Secrets);
            }
        }

        using var assembly = new SystemAssembly(plan.Plan, Materials(plan));
        foreach (var expected in test.Expect)
        {
            Watch(assembly, plan.Where(expected.Port), _seen.GetOrAdd(expected.Port, _ => []));
        }

        var differences = new List<Difference>();
        using var over = new CancellationTokenSource(test.LastGiven + test.RunFor, Time);
        using var force = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Task<RunResult> Run() => assembly.Run.RunAsync(new RunTokens(over.Token, force.Token));
        var running = _scheduler is null ? Run() : _scheduler.RunAsync(Run);
        await Task.WhenAny(running, Task.Delay(test.Timeout, world.Time, ct)).ConfigureAwait(false);
        ct.ThrowIfCancellationRequested();
        if (running.IsCompleted)
        {
            var result = await running.ConfigureAwait(false);
            Save();
            differences.AddRange(JudgeInTime(result, assembly, test.Timeout - world.Time.GetElapsedTime(begun)));
        }
        else
        {
            differences.Add(await GiveUpAsync(running, force).ConfigureAwait(false));
        }

        IReadOnlyList<string> notes = differences.Count == 0 ? [] : [.. Notes(assembly)];
        return new CaseResult(test, [.. differences.Select(Clean)], [.. notes.Select(Clean)], _updated, world.Time.GetElapsedTime(begun));
    }

    public void Dispose()
    {
        _services?.Dispose();
        _liveServices?.Dispose();
        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (IOException)
        {
            // A component that was given up may still write; the system's temporary folder is cleaned by others.
        }
    }

    private RunMaterials Materials(TestPlan plan)
    {
        var factory = new ComponentFactory(_services!);
        var commands = new CommandSurroundings
        {
            Supervisor = world.Supervisor,
            System = plan.Plan,
            StateFolder = _folder,
            Time = TimeProvider.System, // a child lives in real time
            Loggers = world.Logs,
            Environment = world.Environment,
            Models = () => test.Live ? world.Live(Time).GetService(typeof(Microsoft.Extensions.AI.IChatClient)) as Microsoft.Extensions.AI.IChatClient : null,
            SetupTimeout = whole.Policy.SetupTimeout ?? world.Options.SetupTimeout,
        };
        return new RunMaterials
        {
            Time = Time,
            Random = _random,
            Logs = world.Logs,
            Times = new LifecycleTimes { Setup = world.Options.SetupTimeout, Drain = s_drain },
            Create = c => plan.StandIns.TryGetValue(c.Name, out var standIn) ? standIn() : Component(c, factory, commands),
            CreateCapability = factory.Create,
            DeadLetters = _errors,
            Describe = _errors.Row,
            Facts = new RunFacts { DeadLetters = () => _errors.Codes },
            Checkpoints = new CheckpointTimes(TimeSpan.FromDays(1), null),
            GraphHash = GraphDocument.Hash(whole),
            Run = "test",
            Scheduler = _scheduler,
            WritesTo = Path.Combine(_folder, "written"),
        };
    }

    private Component Component(ComponentPlan component, ComponentFactory factory, CommandSurroundings commands)
    {
        Component Real(ComponentFactory from) => component.Uses.Command is null ? from.Create(component) : CommandFactory.Create(component, commands);
        if (TestPlan.IsMocked(component, test))
        {
            var mock = test.Mocks.GetValueOrDefault(component.Name);
            var recording = _recordings.GetValueOrDefault(component.Name);
            var mayAsk = recording is not null && world.Update;
            var isApart = TestPlan.IsApart(component, test);
            var script = new Script(component, mock, recording, mayAsk, isApart, _problems.Enqueue);
            var isReal = mayAsk || (mock is { Recording: null, Replies: null } && !isApart);
            return new MockComponent(component, script, isReal ? () => Real(mayAsk ? LiveFactory() : factory) : null);
        }

        return component.Descriptor.Class == typeof(StdoutSink) && component.Options is StdoutOptions options ? new StdoutSink(options) { Open = static () => Stream.Null } : Real(factory);
    }

    // To record is to ask: whoever types --update wants the network for what is missing.
    private ComponentFactory LiveFactory() => new(_liveServices ??= new TestServices(Time, _random, world.Logs, world.Live(Time)));

    private Difference Clean(Difference d) => d with { Text = Clean(d.Text), Expected = d.Expected is null ? null : Clean(d.Expected), Actual = d.Actual is null ? null : Clean(d.Actual) };

    private string Clean(string text) => SecretText.In(text, whole.Secrets);

    private static void Watch(SystemAssembly assembly, PortName port, ConcurrentQueue<SeenEvent> seen)
    {
        void See(Event<JsonElement> e) => seen.Enqueue(new SeenEvent(e.Data, e.Key, e.Time, e.Mock));
        var loop = assembly.Run.Hosts.FirstOrDefault(h => h.Plan.Name == port.Component)?.Loop;
        if (loop?.Inputs.GetValueOrDefault(port.Port) is IWatched input)
        {
            input.Watch(See);
        }

        foreach (var output in loop?.Outputs.Where(o => o.Plan.Name == port.Port) ?? [])
        {
            output.Watch(See);
        }
    }

    // To compare much with much takes long too, and a timeout is one for all.
    private List<Difference> JudgeInTime(RunResult result, SystemAssembly assembly, TimeSpan left)
    {
        using var late = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, world.Time);
        try
        {
            return [.. Judge(result, assembly, late.Token)];
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return [new Difference(test.Place, $"what came could not be compared with what is expected within {test.Timeout.TotalSeconds:0.#} s of real time; expect fewer events, or in order")];
        }
    }

    private IEnumerable<Difference> Judge(RunResult result, SystemAssembly assembly, CancellationToken ct)
    {
        // Without answers nothing else can be right: the first that is missing says what to do.
        if (_problems.Distinct().ToList() is [var problem, .. var more])
        {
            yield return new Difference(test.Place, more.Count == 0 ? problem : $"{problem} (and {more.Count} more)");
            yield break;
        }

        if (result.ExitCode != RunResult.Ended)
        {
            yield return new Difference(test.Place, $"the run failed: {result.Reason}");
        }

        foreach (var expected in test.Expect)
        {
            IReadOnlyList<SeenEvent> seen = [.. _seen[expected.Port]];
            foreach (var difference in IsWritten(expected, seen, ct) ? [] : Compare(expected, seen, test.Match, ct))
            {
                yield return difference;
            }
        }

        if (test.Errors is { } errors && !IsWritten(errors, _errors.Seen(), ct))
        {
            foreach (var difference in Compare(errors, _errors.Seen(), test.Match | MatchRules.Subset, ct))
            {
                yield return difference;
            }
        }

        foreach (var metric in test.Metrics)
        {
            if (TestMetrics.Compare(metric, assembly) is { } difference)
            {
                yield return difference;
            }
        }
    }

    private static IReadOnlyList<Difference> Compare(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, MatchRules rules, CancellationToken ct) => expected.Missing
        ? [new Difference(expected.Place, $"{expected.Name}: the file of what is expected is not there yet; loom harness test --update writes it from what comes")]
        : EventMatch.Compare(expected, seen, rules, ct);

    // Under --update what came becomes what is expected, where that stands in a file of its own.
    private bool IsWritten(ExpectedEvents expected, IReadOnlyList<SeenEvent> seen, CancellationToken ct)
    {
        if (!world.Update || expected.File is null || !_problems.IsEmpty || (!expected.Missing && EventMatch.Compare(expected, seen, test.Match, ct).Count == 0))
        {
            return false;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(expected.File)!);
        File.WriteAllLines(expected.File, seen.Select(s => EventLines.Of(s.Data)));
        _updated.Add(expected.File);
        return true;
    }

    private void Save()
    {
        foreach (var (component, recording) in _recordings.Where(r => r.Value.HasNew))
        {
            recording.Save();
            _updated.Add(test.Mocks[component].Recording!);
        }
    }

    private async Task<Difference> GiveUpAsync(Task<RunResult> running, CancellationTokenSource force)
    {
        var text = $"the case is not over after {test.Timeout.TotalSeconds:0.#} s of real time";
        if (_scheduler is not null)
        {
            text += _scheduler.Busy is { Count: > 0 } busy ? $"; it waits for something outside: {string.Join(", ", busy)}" : "";
            _scheduler.Abandon();
        }

        await force.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(running, Task.Delay(TimeSpan.FromSeconds(10), world.Time, CancellationToken.None)).ConfigureAwait(false);
        return new Difference(test.Place, text);
    }

    private IEnumerable<string> Notes(SystemAssembly assembly)
    {
        foreach (var component in RunSnapshot.Of(assembly).Components.Where(c => c.Reason is not null))
        {
            yield return $"{component.Name} is {component.State.ToString().ToLowerInvariant()}: {component.Reason}";
        }

        foreach (var group in _errors.All.Where(f => ErrorClasses.CodeOf(f.Error) != Script.NoAnswer).GroupBy(f => (f.Component, Code: ErrorClasses.CodeOf(f.Error))))
        {
            yield return $"{group.Count()} event{(group.Count() == 1 ? "" : "s")} failed at {group.Key.Component}: {group.Key.Code}: {group.First().Error.Message}";
        }
    }
}
