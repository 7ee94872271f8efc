using System.Buffers;
using System.Text.Json;
using Loom.Components;
using Loom.Core.Loops;
using Loom.Processes.Piping;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Commands;

/// <summary>What a session tells of, beside answers.</summary>
internal interface ISessionEvents
{
    /// <summary>An event of no item; what it returns holds the reading of all further output back.</summary>
    ValueTask OnFreeEmitAsync(ChildEmit emit);

    /// <summary>A source has no more.</summary>
    void OnEnd();

    /// <summary>It told its state: what it sends from here on comes after that state.</summary>
    void OnState();

    /// <summary>The answer to a <c>call</c>.</summary>
    ValueTask<JsonElement> CallAsync(string api, JsonElement question, CancellationToken ct);

    void OnLog(string level, string message);

    void OnMetric(string name, double value, IReadOnlyDictionary<string, string> labels);

    /// <summary>A line that is no message.</summary>
    void OnOutput(ReadOnlySpan<byte> line);
}

/// <summary>What is asked of a conversation.</summary>
/// <param name="LongestLine">Bytes of a line; a longer one ends the conversation.</param>
/// <param name="AnswersPings">A component with nothing to do must answer a ping; a source may be waiting for its data instead.</param>
internal sealed record CommandLimits(long LongestLine, bool AnswersPings);

/// <summary>
/// The conversation with one incarnation of a component, from <c>hello</c> to its last line. It ends once, with a reason; what is unanswered then can be taken out
/// and sent in another one.
/// </summary>
internal sealed partial class CommandSession : IAsyncDisposable
{
    private static readonly TimeSpan s_cancelGrace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, CommandItem> _unanswered = [];
    private readonly Dictionary<long, TaskCompletionSource<JsonElement>> _snapshots = [];
    private readonly TaskCompletionSource<ChildReady> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _bye = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<TaskCompletionSource> _pongs = new();
    private readonly CancellationTokenSource _end = new();
    private readonly ProcessPipes _pipes;
    private readonly LinePump _pump;
    private readonly ISessionEvents _events;
    private readonly HashSet<string> _outputs;
    private readonly CommandLimits _limits;
    private readonly TimeProvider _time;
    private readonly BackgroundLoop _reading;
    private readonly ITimer _watch;
    private bool _over;
    private bool _pinged;
    private int _disposed;
    private long _heardAt;
    private long _lastSnapshot;

    public CommandSession(ProcessPipes pipes, ISessionEvents events, IEnumerable<string> outputs, CommandLimits limits, TimeProvider time, ILogger log)
    {
        (_pipes, _events, _limits, _time) = (pipes, events, limits, time);
        _outputs = new HashSet<string>(outputs, StringComparer.Ordinal);
        _heardAt = time.GetTimestamp();
        _pump = new LinePump(_gate, pipes, Fail, _end.Token);
        _reading = BackgroundLoop.Start("command output", ReadAsync, log);
        _watch = time.CreateTimer(static s => ((CommandSession)s!).Watch(), this, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>Completes with the reason when the conversation is over.</summary>
    public Task<string> Ended => _ended.Task;

    /// <summary>Begins: <c>hello</c>, then <c>ready</c>.</summary>
    /// <exception cref="IOException">It ended, or did not answer in time; says which.</exception>
    public async Task<ChildReady> OpenAsync(string component, JsonElement config, IReadOnlyList<string> inputs, TimeSpan limit, CancellationToken ct)
    {
        Say(to => HostLines.Hello(to, component, config, inputs, [.. _outputs]));
        try
        {
            var first = await Task.WhenAny(_ready.Task, Ended).WaitAsync(limit, _time, ct).ConfigureAwait(false);
            return first == _ready.Task ? await _ready.Task.ConfigureAwait(false) : throw new IOException(await Ended.ConfigureAwait(false));
        }
        catch (TimeoutException)
        {
            throw new IOException($"it did not say ready within {limit.TotalSeconds:0.#} s");
        }
    }

    /// <summary>Hands over state of an earlier life.</summary>
    public void Restore(JsonElement state) => Say(to => HostLines.Restore(to, state));

    /// <summary>Sends an item; false when the conversation is over, and then the item is the caller's still.</summary>
    public bool Send(CommandItem item)
    {
        lock (_gate)
        {
            if (_over)
            {
                return false;
            }

            _unanswered.Add(item.Number, item);
            HostLines.Item(_pump.Waiting, item);
        }

        _pump.Write();
        return true;
    }

    /// <summary>Tells that nobody waits for an item; it must be answered all the same, within five seconds.</summary>
    public void Cancel(CommandItem item)
    {
        lock (_gate)
        {
            if (_over || !_unanswered.ContainsKey(item.Number))
            {
                return;
            }

            item.Cancelled = true;
            item.CancelledAt = _time.GetTimestamp();
            HostLines.Cancel(_pump.Waiting, item.Number);
        }

        _pump.Write();
    }

    /// <summary>Asks for the state, as of all items answered so far.</summary>
    /// <exception cref="IOException">It ended first.</exception>
    public async Task<JsonElement> SnapshotAsync(CancellationToken ct)
    {
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        long id;
        lock (_gate)
        {
            id = ++_lastSnapshot;
            _snapshots[id] = answer;
            HostLines.Snapshot(_pump.Waiting, id);
        }

        _pump.Write();
        var first = await Task.WhenAny(answer.Task, Ended).WaitAsync(ct).ConfigureAwait(false);
        return first == answer.Task ? await answer.Task.ConfigureAwait(false) : throw new IOException(await Ended.ConfigureAwait(false));
    }

    /// <summary>Says that no more items come, and waits until everything before that is answered.</summary>
    public async Task DrainAsync(CancellationToken ct)
    {
        var pong = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            HostLines.Word(_pump.Waiting, "drain");
            HostLines.Word(_pump.Waiting, "ping");
            _pongs.Enqueue(pong);
        }

        _pump.Write();
        await Task.WhenAny(pong.Task, Ended).WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Sends a message that is only its type.</summary>
    public void Say(string type) => Say(to => HostLines.Word(to, type));

    /// <summary>Asks a source to end softly.</summary>
    public void AskToDrain() => Say("drain");

    /// <summary>Says goodbye: <c>cleanup</c>, then <c>bye</c>, then its stdin ends.</summary>
    public async Task CloseAsync(CancellationToken ct)
    {
        Say(static to => HostLines.Word(to, "cleanup"));
        await Task.WhenAny(_bye.Task, Ended).WaitAsync(ct).ConfigureAwait(false);
        _pipes.CloseInput();
    }

    /// <summary>What was not answered, in the order it was sent; only once the conversation is over.</summary>
    public IReadOnlyList<CommandItem> TakeUnanswered()
    {
        lock (_gate)
        {
            CommandItem[] items = [.. _unanswered.Values.Where(i => !i.Cancelled)];
            _unanswered.Clear();
            return items;
        }
    }

    /// <summary>Ends the conversation; the first reason counts.</summary>
    public void Fail(string reason)
    {
        lock (_gate)
        {
            _over = true;
        }

        _ended.TrySetResult(reason);
    }

    public async ValueTask DisposeAsync()
    {
        Fail("it was stopped");
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _watch.DisposeAsync().ConfigureAwait(false);
        await _end.CancelAsync().ConfigureAwait(false);
        await _reading.DisposeAsync().ConfigureAwait(false);
        _pipes.Dispose();
        _end.Dispose();
    }

    private void Say(Action<IBufferWriter<byte>> write)
    {
        lock (_gate)
        {
            if (_over)
            {
                return;
            }

            write(_pump.Waiting);
        }

        _pump.Write();
    }

    private async Task ReadAsync(CancellationToken stop)
    {
        try
        {
            var reader = _pipes.Output;
            while (true)
            {
                var read = await reader.ReadAsync(stop).ConfigureAwait(false);
                var buffer = read.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    var line = buffer.Slice(0, end);
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                    if (line.Length > _limits.LongestLine)
                    {
                        Fail(TooLong);
                        return;
                    }

                    if (!await TakeAsync(line).ConfigureAwait(false))
                    {
                        return;
                    }
                }

                if (buffer.Length > _limits.LongestLine)
                {
                    Fail(TooLong);
                    return;
                }

                if (read.IsCompleted)
                {
                    if (buffer.Length > 0)
                    {
                        _events.OnOutput(buffer.ToArray());
                    }

                    Fail("it ended");
                    return;
                }

                reader.AdvanceTo(buffer.Start, buffer.End);
            }
        }
        finally
        {
            Fail("its output is not read any more");
            await _pipes.Output.CompleteAsync().ConfigureAwait(false);
        }
    }

    private string TooLong => $"it wrote a line longer than {_limits.LongestLine} bytes (policy.resource_limits.max_item_bytes)";

    private ValueTask<bool> TakeAsync(in ReadOnlySequence<byte> line)
    {
        if (line.IsSingleSegment)
        {
            return TakeAsync(line.FirstSpan);
        }

        var rented = ArrayPool<byte>.Shared.Rent((int)line.Length);
        line.CopyTo(rented);
        var taken = TakeAsync(rented.AsSpan(0, (int)line.Length)); // the line is parsed before this returns
        ArrayPool<byte>.Shared.Return(rented);
        return taken;
    }

    // False ends the conversation. Everything that needs the bytes is done before the first wait.
    private ValueTask<bool> TakeAsync(ReadOnlySpan<byte> line)
    {
        _heardAt = _time.GetTimestamp();
        _pinged = false;
        var message = ChildLine.Read(line);
        switch (message)
        {
            case ChildLine.Emit emit:
                return EmitAsync(emit, line.Length);
            case ChildLine.Done done:
                return new(Answer(done.N, null));
            case ChildLine.Error error:
                return new(Answer(error.N, error.Failure));
            case ChildLine.Malformed malformed:
                Fail(malformed.Why);
                return new(false);
            case ChildLine.Output:
                _events.OnOutput(line);
                return new(true);
            default:
                Take(message);
                return new(true);
        }
    }

    private void Take(ChildLine message)
    {
        switch (message)
        {
            case ChildLine.Ready ready:
                _ready.TrySetResult(ready.Says);
                break;
            case ChildLine.State state:
                TaskCompletionSource<JsonElement>? asked;
                lock (_gate)
                {
                    _snapshots.Remove(state.Id, out asked);
                }

                _events.OnState();
                asked?.TrySetResult(state.Data);
                break;
            case ChildLine.Call call:
                _ = CallAsync(call);
                break;
            case ChildLine.Log log:
                _events.OnLog(log.Level, log.Message);
                break;
            case ChildLine.Metric metric:
                _events.OnMetric(metric.Name, metric.Value, metric.Labels);
                break;
            case ChildLine.End:
                _events.OnEnd();
                break;
            case ChildLine.Pong:
                TaskCompletionSource? pong;
                lock (_gate)
                {
                    _pongs.TryDequeue(out pong);
                }

                pong?.TrySetResult();
                break;
            case ChildLine.Bye:
                _bye.TrySetResult();
                break;
        }
    }

    private async ValueTask<bool> EmitAsync(ChildLine.Emit emit, long bytes)
    {
        if (!_outputs.Contains(emit.Event.Port))
        {
            Fail($"it sent an event to port \"{emit.Event.Port}\", which it does not have (outputs: {string.Join(", ", _outputs)})");
            return false;
        }

        if (emit.N is not { } n)
        {
            await _events.OnFreeEmitAsync(emit.Event).ConfigureAwait(false);
            return true;
        }

        CommandItem? item;
        lock (_gate)
        {
            _unanswered.TryGetValue(n, out item);
        }

        if (item is null)
        {
            Fail($"it sent an event for item {n}, which is not in its hands");
            return false;
        }

        await item.EmitAsync(emit.Event, bytes).ConfigureAwait(false);
        return true;
    }

    private bool Answer(long n, ChildError? error)
    {
        CommandItem? item;
        lock (_gate)
        {
            if (!_unanswered.TryGetValue(n, out item))
            {
                _over = true;
                _ended.TrySetResult($"it answered item {n}, which is not in its hands");
                return false;
            }

            if (error?.Index is null)
            {
                _unanswered.Remove(n);
            }
        }

        if (error is not null)
        {
            item.Refuse(error);
            if (error.Index is not null)
            {
                return true; // one member of a batch; done follows
            }
        }

        item.Complete();
        return true;
    }

    private async Task CallAsync(ChildLine.Call call)
    {
        JsonElement? data = null;
        ItemException? error = null;
        try
        {
            data = await _events.CallAsync(call.Api, call.Whole, _end.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e as ItemException ?? new ItemException(Errors.ErrorVerdict.Of(e).Code, e.Message, Errors.ErrorVerdict.Of(e).Class);
        }

        Say(to => HostLines.Reply(to, call.Question, data, error));
    }

    // Once a second: an item that was cancelled must be answered, and one who has nothing to do must answer a ping.
    private void Watch()
    {
        string? reason = null;
        var ping = false;
        lock (_gate)
        {
            if (_unanswered.Values.FirstOrDefault(i => i.Cancelled && _time.GetElapsedTime(i.CancelledAt) > s_cancelGrace) is { } deaf)
            {
                reason = $"it did not answer item {deaf.Number} within {s_cancelGrace.TotalSeconds:0} s of its being cancelled";
            }
            else if (_limits.AnswersPings && _unanswered.Count == 0 && _ready.Task.IsCompleted && _time.GetElapsedTime(_heardAt) is var silent && silent > s_quiet)
            {
                reason = silent > s_silence && _pinged ? $"it has said nothing for {silent.TotalSeconds:0} s, and did not answer a ping" : null;
                ping = !_pinged;
                _pinged = true;
            }
        }

        if (reason is not null)
        {
            Fail(reason);
        }
        else if (ping)
        {
            Say(static to => HostLines.Word(to, "ping"));
        }
    }
}
