using System.Collections.Immutable;
using System.Text;
using Loom.Node;
using Loom.Node.Pools;
using Loom.Wire;

namespace Loom.SystemTests.Pools;

/// <summary>Plays the control plane: sends requests to replicas that take work, waits while none does, and counts what runs where.</summary>
internal sealed class Callers(NodeAgent agent) : IReplicaTraffic, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _running = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(60) };

    /// <summary>Urls that were cut, in order.</summary>
    public List<string> Cuts { get; } = [];

    /// <summary>Time since the last request, as it is told to the node; null = not told.</summary>
    public TimeSpan? Idle { get; set; }

    public void Dispose() => _http.Dispose();

    /// <summary>Holds a slot of a replica as a long request would.</summary>
    public IDisposable Hold(string url)
    {
        Count(url, +1);
        return new Held(() => Count(url, -1));
    }

    /// <summary>One request to whichever replica takes work; waits for one. Returns the model's name and the body.</summary>
    public async Task<(string Model, string Body)> AskAsync(CancellationToken cancel)
    {
        var replica = await TakeAsync(cancel);
        try
        {
            using var content = new StringContent($$"""{"model":"{{replica.Model}}","prompt":"the weaver","max_tokens":3}""", Encoding.UTF8, "application/json");
            using var answer = await _http.PostAsync(replica.Url + "/completions", content, cancel);
            var body = await answer.Content.ReadAsStringAsync(cancel);
            return answer.IsSuccessStatusCode ? (replica.Model, body) : throw new InvalidOperationException($"{(int)answer.StatusCode}: {body}");
        }
        finally
        {
            Count(replica.Url!, -1);
        }
    }

    /// <summary>Asks without a break until told to stop; how many answers came of each model. The first failed request ends it.</summary>
    public async Task<ImmutableDictionary<string, int>> LoopAsync(CancellationToken stop)
    {
        var answers = ImmutableDictionary<string, int>.Empty;
        while (!stop.IsCancellationRequested)
        {
            var (model, _) = await AskAsync(CancellationToken.None);
            answers = answers.SetItem(model, answers.GetValueOrDefault(model) + 1);
        }

        return answers;
    }

    public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        while (true)
        {
            lock (_gate)
            {
                if (_running.GetValueOrDefault(url) == 0)
                {
                    return true;
                }
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, CancellationToken.None);
            if (deadline.IsCancellationRequested)
            {
                return false;
            }
        }
    }

    public void Cut(ReplicaId replica, string url)
    {
        lock (_gate)
        {
            Cuts.Add(url);
        }
    }

    public TimeSpan? IdleFor(ReplicaId replica, string url) => Idle;

    private async Task<ReplicaStatus> TakeAsync(CancellationToken cancel)
    {
        await foreach (var _ in agent.WatchAsync(cancel))
        {
            lock (_gate) // read and count in one step: what is published after it knows of this request
            {
                if (agent.Snapshot.FirstOrDefault(r => r.State is ReplicaState.Ready or ReplicaState.Reloading && r.Url is not null) is { } replica)
                {
                    _running[replica.Url!] = _running.GetValueOrDefault(replica.Url!) + 1;
                    return replica;
                }
            }
        }

        throw new OperationCanceledException(cancel);
    }

    private void Count(string url, int change)
    {
        lock (_gate)
        {
            _running[url] = _running.GetValueOrDefault(url) + change;
        }
    }

    private sealed class Held(Action release) : IDisposable
    {
        public void Dispose() => release();
    }
}
