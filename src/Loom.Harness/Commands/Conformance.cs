using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Harness.Commands;

/// <summary>One thing that was tried.</summary>
/// <param name="Name">What.</param>
/// <param name="Passed">Null: it does not apply to this component.</param>
/// <param name="Detail">What was seen.</param>
internal sealed record ConformanceCheck(string Name, bool? Passed, string Detail);

/// <summary>What a component is tried with.</summary>
internal sealed record ConformanceRequest
{
    public required IReadOnlyList<string> Command { get; init; }

    public bool IsSource { get; init; }

    /// <summary>Payloads it can make something of, or refuse; at least one.</summary>
    public required IReadOnlyList<JsonElement> Samples { get; init; }

    public JsonElement Config { get; init; } = JsonSerializer.SerializeToElement(new Dictionary<string, string>(), CommandJson.Default.DictionaryStringString);

    public string Input { get; init; } = "in";

    public IReadOnlyList<string> Outputs { get; init; } = ["out"];
}

/// <summary>Tries whether a program keeps the rules of the conversation, as the harness would lead it. Each check has a process of its own.</summary>
internal sealed class Conformance(ConformanceRequest request, ISupervisor supervisor, string folder, IReadOnlyDictionary<string, string> environment, TimeProvider time)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    private int _processes;

    /// <summary>The checks, each as it is done.</summary>
    public async IAsyncEnumerable<ConformanceCheck> RunAsync([EnumeratorCancellation] CancellationToken ct)
    {
        ChildReady? ready = null;
        yield return await TryAsync("says ready", async talk => (ready = talk.Ready).ToString(), ct).ConfigureAwait(false);
        if (ready is null)
        {
            yield break;
        }

        foreach (var (name, applies, check) in request.IsSource ? SourceChecks(ready) : ItemChecks(ready))
        {
            yield return applies ? await TryAsync(name, check, ct).ConfigureAwait(false) : new ConformanceCheck(name, null, "does not apply");
        }

        yield return await TryAsync("says bye and ends with exit code 0", GoodbyeAsync, ct).ConfigureAwait(false);
        yield return await TryAsync("ends when its stdin ends", GoneAsync, ct).ConfigureAwait(false);
    }

    private IEnumerable<(string Name, bool Applies, Func<Talk, Task<string>> Check)> ItemChecks(ChildReady ready)
    {
        yield return ("answers each item once", true, AnswersAsync);
        yield return ("takes max_in_flight items at once", true, InFlightAsync);
        yield return ("reads any text", true, AnyTextAsync);
        yield return ("answers a ping", true, PingAsync);
        yield return ("ignores messages it does not know", true, FutureAsync);
        yield return ("answers a cancelled item", true, CancelAsync);
        yield return ("takes a batch", ready.Batch, BatchAsync);
        yield return ("tells its state and takes it back", ready.Stateful, StateAsync);
        yield return ("writes nothing but messages to stdout", true, CleanAsync);
    }

    private IEnumerable<(string Name, bool Applies, Func<Talk, Task<string>> Check)> SourceChecks(ChildReady ready)
    {
        yield return ("sends events", true, EventsAsync);
        yield return ("goes on from its state", ready.Replayable, ReplayAsync);
        yield return ("ends when it is drained", true, DrainAsync);
    }

    private async Task<string> AnswersAsync(Talk talk)
    {
        var (answered, refused) = (0, 0);
        for (var i = 0; i < 50; i++)
        {
            var result = await talk.AskAsync(request.Samples[i % request.Samples.Count]).ConfigureAwait(false);
            answered++;
            refused += result.Errors.Count > 0 ? 1 : 0;
        }

        return $"{answered} answered, {refused} of them with an error";
    }

    private async Task<string> InFlightAsync(Talk talk)
    {
        var asked = Enumerable.Range(0, talk.Ready.MaxInFlight).Select(i => talk.AskAsync(request.Samples[i % request.Samples.Count])).ToArray();
        await Task.WhenAll(asked).ConfigureAwait(false);
        return $"{asked.Length} at once";
    }

    private async Task<string> AnyTextAsync(Talk talk)
    {
        string[] texts = ["", "line\nfeed \t \"quoted\" \\ \u2028", "ünïcödé 日本語 \U0001F600", new string('x', 300_000)];
        foreach (var text in texts)
        {
            await talk.AskAsync(JsonSerializer.SerializeToElement(text, CommandJson.Default.String)).ConfigureAwait(false);
        }

        return $"{texts.Length} payloads up to 300 kB";
    }

    private static async Task<string> PingAsync(Talk talk)
    {
        await talk.Session.DrainAsync(talk.Limit).ConfigureAwait(false);
        return talk.Session.Ended.IsCompleted ? throw new IOException(await talk.Session.Ended.ConfigureAwait(false)) : "pong";
    }

    private async Task<string> FutureAsync(Talk talk)
    {
        talk.Session.Say("a_message_of_the_future");
        await talk.AskAsync(request.Samples[0]).ConfigureAwait(false);
        return "went on";
    }

    private async Task<string> CancelAsync(Talk talk)
    {
        var item = talk.Send(request.Samples[0]);
        talk.Session.Cancel(item);
        await talk.AnsweredAsync(item).ConfigureAwait(false);
        await talk.AskAsync(request.Samples[0]).ConfigureAwait(false);
        return "answered, and the next one too";
    }

    private async Task<string> BatchAsync(Talk talk)
    {
        var batch = Batch<JsonElement>.Of([.. Enumerable.Range(0, 3).Select(i => Talk.EventOf(request.Samples[i % request.Samples.Count], i))]);
        var item = new CommandItem(request.Input, batch[0], batch) { Number = 1_000_000 };
        talk.Session.Send(item);
        var result = await talk.AnsweredAsync(item).ConfigureAwait(false);
        return $"3 members: {result.Emits.Count} results, {result.Errors.Count} errors";
    }

    private async Task<string> StateAsync(Talk talk)
    {
        foreach (var sample in request.Samples)
        {
            await talk.AskAsync(sample).ConfigureAwait(false);
        }

        var state = await talk.Session.SnapshotAsync(talk.Limit).ConfigureAwait(false);
        await using var other = await OpenAsync(CancellationToken.None).ConfigureAwait(false);
        other.Session.Restore(state);
        var again = await other.Session.SnapshotAsync(other.Limit).ConfigureAwait(false);
        return JsonElement.DeepEquals(state, again)
            ? $"{state.GetRawText().Length} characters, the same after restore"
            : throw new IOException($"its state was {Short(state)} and is {Short(again)} after restore");
    }

    private async Task<string> CleanAsync(Talk talk)
    {
        await talk.AskAsync(request.Samples[0]).ConfigureAwait(false);
        return talk.Events.OutputLines == 0 ? "nothing else" : throw new IOException($"{talk.Events.OutputLines} lines are no messages; print to stderr instead");
    }

    private static async Task<string> EventsAsync(Talk talk)
    {
        talk.Begin(null);
        var first = await talk.NextAsync().ConfigureAwait(false);
        return first is null ? "it ended without one" : $"the first: {Short(first.Data)}";
    }

    private async Task<string> ReplayAsync(Talk talk)
    {
        talk.Begin(null);
        _ = await talk.NextAsync().ConfigureAwait(false);
        var state = await talk.StateAsync().ConfigureAwait(false);
        await using var other = await OpenAsync(CancellationToken.None).ConfigureAwait(false);
        other.Begin(state);
        for (var i = 0; i < 3; i++)
        {
            var (one, two) = (await talk.NextAsync().ConfigureAwait(false), await other.NextAsync().ConfigureAwait(false));
            if (one is null != two is null || (one is not null && !JsonElement.DeepEquals(one.Data, two!.Data)))
            {
                throw new IOException($"event {i + 1} after its state is {Short(one?.Data)}, and {Short(two?.Data)} in a process that was given that state");
            }
        }

        return "the same events come again";
    }

    private static async Task<string> DrainAsync(Talk talk)
    {
        talk.Begin(null);
        talk.Session.AskToDrain();
        while (await talk.NextAsync().ConfigureAwait(false) is not null)
        {
        }

        return "said end";
    }

    private static async Task<string> GoodbyeAsync(Talk talk)
    {
        await talk.Session.CloseAsync(talk.Limit).ConfigureAwait(false);
        return await talk.ExitCodeAsync().ConfigureAwait(false) is 0 ? "exit code 0" : throw new IOException($"it ended otherwise{await talk.Child.HowItEndedAsync().ConfigureAwait(false)}");
    }

    private static async Task<string> GoneAsync(Talk talk)
    {
        talk.Pipes.CloseInput();
        await talk.ExitCodeAsync().ConfigureAwait(false);
        return "ended";
    }

    private async Task<ConformanceCheck> TryAsync(string name, Func<Talk, Task<string>> check, CancellationToken ct)
    {
        try
        {
            await using var talk = await OpenAsync(ct).ConfigureAwait(false);
            return new ConformanceCheck(name, true, await check(talk).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return new ConformanceCheck(name, false, $"nothing came within {s_limit.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is IOException or TimeoutException or ItemException or JsonException)
        {
            return new ConformanceCheck(name, false, e is TimeoutException ? $"no answer within {s_limit.TotalSeconds:0} s" : e.Message);
        }
    }

    private async Task<Talk> OpenAsync(CancellationToken ct)
    {
        var type = request.IsSource ? ComponentType.Source : ComponentType.Transformer;
        var name = $"conform{Interlocked.Increment(ref _processes)}";
        var plan = new ComponentPlan
        {
            Name = name,
            Type = type,
            Uses = new UsesPlan { Command = new CommandPlan(request.Command, null, new Dictionary<string, string>(), [], 1) },
            Descriptor = new ComponentDescriptor { Name = "command", Type = type, Summary = "", Ports = static _ => [] },
            Ports = [],
        };
        var child = new CommandChild(
            plan,
            new CommandSurroundings
            {
                Supervisor = supervisor,
                System = new SystemPlan { Name = "conform", Version = "1.0.0", Directory = folder, Components = [], Bindings = [] },
                StateFolder = Path.Combine(Path.GetTempPath(), $"loom-conform-{Environment.ProcessId}"),
                Time = time,
                Loggers = NullLoggerFactory.Instance,
                Environment = environment,
            },
            replica: 0);
        var talk = new Talk(child, request.Input, time);
        try
        {
            await talk.OpenAsync(request, plan.Name, s_limit, ct).ConfigureAwait(false);
            return talk;
        }
        catch (IOException e)
        {
            var words = await child.LastWordsAsync().ConfigureAwait(false);
            await talk.DisposeAsync().ConfigureAwait(false);
            throw new IOException(e.Message + words, e);
        }
        catch
        {
            await talk.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static string Short(JsonElement? data) => data is not { } some ? "the end" : some.GetRawText() is var text && text.Length > 100 ? text[..100] + " …" : text;

    // One process and its conversation.
    private sealed class Talk(CommandChild child, string input, TimeProvider time) : IAsyncDisposable
    {
        private readonly Channel<ChildEmit?> _free = Channel.CreateBounded<ChildEmit?>(1000);
        private readonly CancellationTokenSource _limit = new(s_limit, time);
        private volatile bool _forgets;
        private volatile bool _over;
        private long _last;

        public CommandChild Child => child;

        public CommandSession Session { get; private set; } = null!;

        public Processes.Piping.ProcessPipes Pipes { get; private set; } = null!;

        public ChildReady Ready { get; private set; } = null!;

        public CommandEvents Events { get; private set; } = null!;

        public CancellationToken Limit => _limit.Token;

        public static Event<JsonElement> EventOf(JsonElement data, long number) => new(EventId.Root("conform:0", number), data, time: DateTimeOffset.UnixEpoch);

        public async Task OpenAsync(ConformanceRequest request, string name, TimeSpan limit, CancellationToken ct)
        {
            Pipes = await child.StartAsync(ct).ConfigureAwait(false);
            Events = new CommandEvents(name, static () => null, time, NullLogger.Instance, AddAsync, () => _ = AddAsync(null).AsTask(), () =>
            {
                if (_forgets)
                {
                    Forget();
                    _forgets = false;
                }
            });
            Session = new CommandSession(Pipes, Events, request.Outputs, new CommandLimits(4 << 20, !request.IsSource), time, NullLogger.Instance);
            Ready = await Session.OpenAsync(name, request.Config, request.IsSource ? [] : [input], limit, ct).ConfigureAwait(false);
        }

        public CommandItem Send(JsonElement data)
        {
            var item = new CommandItem(input, EventOf(data, _last), null) { Number = ++_last };
            Session.Send(item);
            return item;
        }

        public Task<CommandResult> AskAsync(JsonElement data) => AnsweredAsync(Send(data));

        public async Task<CommandResult> AnsweredAsync(CommandItem item)
        {
            var first = await Task.WhenAny(item.Done.Task, Session.Ended).WaitAsync(Limit).ConfigureAwait(false);
            return first == item.Done.Task ? await item.Done.Task.ConfigureAwait(false) : throw new IOException(await Session.Ended.ConfigureAwait(false));
        }

        public void Begin(JsonElement? state)
        {
            if (Ready.Replayable)
            {
                Session.Restore(state ?? default);
            }
        }

        public async Task<ChildEmit?> NextAsync()
        {
            if (_over)
            {
                return null; // the end came before the state
            }

            var next = _free.Reader.ReadAsync(Limit).AsTask();
            var first = await Task.WhenAny(next, Session.Ended).ConfigureAwait(false);
            return first == next ? await next.ConfigureAwait(false) : throw new IOException(await Session.Ended.ConfigureAwait(false));
        }

        // The state, with everything it sent before forgotten.
        public async Task<JsonElement> StateAsync()
        {
            _forgets = true;
            Forget();
            return await Session.SnapshotAsync(Limit).ConfigureAwait(false);
        }

        public async Task<int?> ExitCodeAsync()
        {
            await child.EndedAsync(Limit).ConfigureAwait(false);
            return child.LastExit?.Code;
        }

        private ValueTask AddAsync(ChildEmit? emit)
        {
            if (!_forgets)
            {
                return _free.Writer.WriteAsync(emit, Limit);
            }

            _over |= emit is null;
            return default;
        }

        private void Forget()
        {
            while (_free.Reader.TryRead(out var emit))
            {
                _over |= emit is null;
            }
        }

        public async ValueTask DisposeAsync()
        {
            _free.Writer.TryComplete();
            if (Session is not null)
            {
                await Session.DisposeAsync().ConfigureAwait(false);
            }

            await child.RemoveAsync().ConfigureAwait(false);
            _limit.Dispose();
        }
    }
}
