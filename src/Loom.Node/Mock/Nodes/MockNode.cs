using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Mock.Nodes;

/// <summary>One node that is pretended: it registers, beats as it is told, and answers for engines it shares with all the others.</summary>
internal sealed class MockNode : IServedNode
{
    private readonly MockNodesOptions _options;
    private readonly MockNodes _host;
    private readonly LinkClient _client;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly string _machine;
    private string _instance;
    private bool _registered;
    private bool _left;
    private long _seq;
    private volatile bool _silent;
    private volatile bool _down;
    private volatile bool _restarts;
    private volatile bool _ready = true;
    private volatile int _slowMs;
    private volatile string? _gate;
    private (int Free, int Total) _slots;
    private TimeSpan _skew;
    private HttpStatusCode? _lastStatus;
    private string _lastDeed = "";

    public MockNode(int index, MockNodesOptions options, MockNodes host, LinkClient client, TimeProvider time)
    {
        Index = index;
        Id = string.Create(CultureInfo.InvariantCulture, $"{options.Prefix}-{index:00000}");
        _options = options;
        _host = host;
        _client = client;
        _time = time;
        _random = new Random(HashCode.Combine(options.Seed, index));
        _machine = string.Create(CultureInfo.InvariantCulture, $"machine-{options.Prefix}-{options.Seed}-{index}");
        _instance = NewInstance();
        _slots = (options.Slots, options.Slots);
        Runs = new ProxiedRuns(time);
        Runs.Watch(() => Snapshot);
    }

    public int Index { get; }

    public string Id { get; }

    /// <summary>What passes through it.</summary>
    public ProxiedRuns Runs { get; }

    /// <summary>Whether it breaks every connection.</summary>
    public bool IsDown => _down;

    public ImmutableArray<ReplicaStatus> Snapshot =>
    [
        .. Enumerable.Range(0, _options.Pools).Select(p => new ReplicaStatus
        {
            Id = new ReplicaId(Id, PoolName(p), "r0"),
            State = _ready ? ReplicaState.Ready : ReplicaState.Unready,
            EngineKind = EngineKinds.Mock,
            Model = _options.Model,
            Models = [_options.Model],
            Url = _host.EngineUrl,
            SlotsTotal = _slots.Total,
            Mock = true,
        }),
    ];

    /// <summary>Registers and beats until it is stopped.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        var failures = 0;
        while (!cancel.IsCancellationRequested)
        {
            if (_silent || _left)
            {
                await SleepAsync(Timeout.InfiniteTimeSpan, cancel).ConfigureAwait(false);
                continue;
            }

            if (_restarts)
            {
                _restarts = false;
                _registered = false;
                _instance = NewInstance();
                _seq = 0;
            }

            var first = !_registered;
            var answer = first ? await RegisterAsync(_machine, _instance, cancel).ConfigureAwait(false) : await BeatAsync(++_seq, cancel).ConfigureAwait(false);
            failures = answer.Status == HttpStatusCode.OK ? 0 : failures + 1;
            _registered = first ? answer.Status == HttpStatusCode.OK : answer.Status != HttpStatusCode.NotFound;
            if (failures == 0 && !first)
            {
                await SleepAsync(LinkPace.Next(TimeSpan.MaxValue, answer.NextHeartbeatMs, _random.NextDouble()), cancel).ConfigureAwait(false);
            }
            else if (failures > 0 && answer.Status != HttpStatusCode.NotFound)
            {
                await SleepAsync(LinkPace.Backoff(failures), cancel).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Does what a step of the script says.</summary>
    public async Task DoAsync(MockStep step, CancellationToken cancel)
    {
        switch (step.Do)
        {
            case MockDeed.Silence:
                (_silent, _down) = (true, step.Down);
                if (step.Ms > 0)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(step.Ms), _time, cancel).ConfigureAwait(false);
                    Speak();
                }

                break;
            case MockDeed.Speak:
                Speak();
                break;
            case MockDeed.Flap:
                await FlapAsync(step, cancel).ConfigureAwait(false);
                break;
            case MockDeed.Skew:
                _skew = TimeSpan.FromMilliseconds(step.Ms);
                Wake();
                break;
            case MockDeed.Impostor:
                await RegisterAsync(_machine + "-impostor", NewInstance(), cancel, "impostor").ConfigureAwait(false);
                break;
            case MockDeed.Restart:
                _restarts = true;
                Wake();
                break;
            case MockDeed.Slots:
                _slots = (step.Free, Math.Max(1, step.Total));
                Wake();
                break;
            case MockDeed.Readiness:
                _ready = step.Ready;
                Wake();
                break;
            case MockDeed.Slow:
                _slowMs = (int)step.Ms;
                break;
            case MockDeed.Gate:
                _gate = step.Name;
                break;
            case MockDeed.Late:
                await BeatAsync(Math.Max(0, _seq - 1), cancel, "late").ConfigureAwait(false);
                break;
            default:
                _left = true;
                Tell("leave", await _client.LeaveAsync(_options.ControlPlane, Id, cancel).ConfigureAwait(false));
                break;
        }
    }

    /// <summary>Holds an answer as long as the script wants.</summary>
    public async Task HoldAsync(CancellationToken cancel)
    {
        if (_slowMs is > 0 and var ms)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(ms), _time, cancel).ConfigureAwait(false);
        }

        if (_gate is { } gate)
        {
            await _host.Gates.WaitAsync(gate, cancel).ConfigureAwait(false);
        }
    }

    public async IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask.ConfigureAwait(false);
        yield return Snapshot;
    }

    public UpstreamCredentials CredentialsOf(ReplicaId replica) => UpstreamCredentials.None;

    public void ReportFault(ReplicaId replica, string reason)
    {
    }

    // Nothing of it is real, so whatever it is told is done at once.
    public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) =>
        Task.FromResult(new OperationStatus { Id = NewInstance(), Kind = command.Word, PoolId = command.PoolId, Status = OperationState.Succeeded });

    private static string PoolName(int index) => index == 0 ? "default" : string.Create(CultureInfo.InvariantCulture, $"pool-{index}");

    private string NewInstance()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }

    private async Task FlapAsync(MockStep step, CancellationToken cancel)
    {
        var began = _time.GetTimestamp();
        while (step.Ms <= 0 || _time.GetElapsedTime(began).TotalMilliseconds < step.Ms)
        {
            _silent = true;
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Max(1, step.SilentMs)), _time, cancel).ConfigureAwait(false);
            Speak();
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Max(1, step.SpeakingMs)), _time, cancel).ConfigureAwait(false);
        }
    }

    private void Speak()
    {
        (_silent, _down) = (false, false);
        Wake();
    }

    private void Wake() => _wakes.Writer.TryWrite(true);

    private async Task SleepAsync(TimeSpan pause, CancellationToken cancel)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (pause != Timeout.InfiniteTimeSpan)
        {
            end.CancelAfter(pause);
        }

        await ((Task)_wakes.Reader.WaitToReadAsync(end.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _wakes.Reader.TryRead(out _);
    }

    private async Task<LinkAnswer> RegisterAsync(string machine, string instance, CancellationToken cancel, string deed = "register")
    {
        var answer = await _client.RegisterAsync(
            _options.ControlPlane,
            new NodeRegistration
            {
                NodeId = Id,
                MachineId = machine,
                InstanceId = instance,
                Address = _host.AddressOf(Id),
                Pools = [.. Enumerable.Range(0, _options.Pools).Select(PoolName)],
                Capabilities = new NodeCapabilities { CpuCores = 4, RamTotalBytes = 8L << 30, EngineKinds = [EngineKinds.Mock], GpuSource = "mock" },
                Mock = true,
            },
            cancel).ConfigureAwait(false);
        Tell(deed, answer);
        return answer;
    }

    private async Task<LinkAnswer> BeatAsync(long seq, CancellationToken cancel, string deed = "heartbeat")
    {
        var (free, total) = _slots;
        var beat = new NodeHeartbeat
        {
            Timestamp = _time.GetUtcNow() + _skew,
            InstanceId = _instance,
            Seq = seq,
            Pools =
            [
                .. Enumerable.Range(0, _options.Pools).Select(p => new PoolBeat
                {
                    PoolId = PoolName(p), Ready = _ready, Draining = false, SlotsFree = free, SlotsTotal = total, Engine = EngineKinds.Mock, Model = _options.Model,
                    ModelsAvailable = [_options.Model], LastError = _ready ? null : "the script says so",
                }),
            ],
        };
        var answer = await _client.BeatAsync(_options.ControlPlane, Id, beat, cancel).ConfigureAwait(false);
        Tell(deed, answer);
        return answer;
    }

    private void Tell(string deed, LinkAnswer answer)
    {
        var news = deed != _lastDeed || answer.Status != _lastStatus || deed is not "heartbeat";
        (_lastDeed, _lastStatus) = (deed, answer.Status);
        _host.Tell(this, deed, answer, news);
    }
}
