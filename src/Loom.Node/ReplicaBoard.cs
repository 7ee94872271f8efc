using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Loom.Core.Gpus;
using Loom.Node.Inventory;
using Loom.Wire;

namespace Loom.Node;

/// <summary>
/// What the node tells the world of its replicas: what their owners say, seen together with the state of the GPUs. One immutable snapshot, swapped whole on each
/// change of either. Any thread may call.
/// </summary>
/// <param name="gpus">The GPUs.</param>
/// <param name="time">Clock.</param>
internal sealed class ReplicaBoard(IGpuView gpus, TimeProvider time) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<Channel<ImmutableArray<ReplicaStatus>>> _watchers = [];
    private IDisposable? _gpuNews;
    private ImmutableArray<ReplicaStatus> _told; // by their owners
    private ImmutableArray<ReplicaStatus> _shown = []; // to the world

    /// <summary>How all replicas are, in the order of the file, then those of others.</summary>
    public ImmutableArray<ReplicaStatus> Snapshot
    {
        get
        {
            lock (_gate)
            {
                return _shown;
            }
        }
    }

    /// <summary>Begins with these; what was published before is in them.</summary>
    public void Begin(ImmutableArray<ReplicaStatus> first)
    {
        lock (_gate)
        {
            _told = first;
            Show();
        }

        _gpuNews = gpus.Subscribe(_ =>
        {
            lock (_gate)
            {
                Show();
            }
        });
    }

    /// <summary>Takes what an owner says of its replicas; new ones come last.</summary>
    public void Publish(ImmutableArray<ReplicaStatus> replicas)
    {
        lock (_gate)
        {
            if (_told.IsDefault)
            {
                return; // a pool speaks while it is being made; the first snapshot has it
            }

            var next = _told.ToBuilder();
            foreach (var replica in replicas)
            {
                var at = IndexOf(_told, replica.Id);
                if (at < 0)
                {
                    next.Add(replica);
                }
                else
                {
                    next[at] = replica;
                }
            }

            _told = next.ToImmutable();
            Show();
        }
    }

    /// <summary>Shows a replica no more.</summary>
    public void Forget(ReplicaId replica)
    {
        lock (_gate)
        {
            _told = _told.RemoveAll(r => r.Id == replica);
            Show();
        }
    }

    /// <summary>The present snapshot, then each newer one; a slow reader misses those between, never the last.</summary>
    public async IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<ImmutableArray<ReplicaStatus>>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_gate)
        {
            channel.Writer.TryWrite(_shown);
            _watchers.Add(channel);
        }

        try
        {
            await foreach (var snapshot in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return snapshot;
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove(channel);
            }
        }
    }

    /// <summary>Ends the watches.</summary>
    public void Dispose()
    {
        _gpuNews?.Dispose();
        lock (_gate)
        {
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryComplete();
            }
        }
    }

    private static int IndexOf(ImmutableArray<ReplicaStatus> all, ReplicaId replica)
    {
        for (var i = 0; i < all.Length; i++)
        {
            if (all[i].Id == replica)
            {
                return i;
            }
        }

        return -1;
    }

    private void Show()
    {
        var (devices, now) = (gpus.Current, time.GetUtcNow().ToUnixTimeMilliseconds());
        ImmutableArray<ReplicaStatus> next = [.. _told.Select(r => Since(GpuView.Apply(r, devices), now))];
        if (!next.SequenceEqual(_shown))
        {
            _shown = next;
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryWrite(next);
            }
        }
    }

    private ReplicaStatus Since(ReplicaStatus replica, long now)
    {
        var at = IndexOf(_shown, replica.Id);
        return replica with { SinceMs = at >= 0 && _shown[at].State == replica.State ? _shown[at].SinceMs : now };
    }
}
