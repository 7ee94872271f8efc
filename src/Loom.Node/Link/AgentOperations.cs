using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Link;

/// <summary>The operations this agent was asked for over its listener: those that run, and the last ones that ended.</summary>
internal sealed class AgentOperations(IServedNode node, ILogger log) : IAsyncDisposable
{
    private const int Most = 256;
    private static readonly TimeSpan s_firstWord = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <summary>Begins an operation.</summary>
    /// <returns>It, running or ended already.</returns>
    /// <exception cref="ProblemException">409: another one runs on the pool.</exception>
    public async Task<OperationStatus> BeginAsync(PoolCommand command, TimeProvider time)
    {
        var entry = new Entry(new OperationStatus { Id = Guid.CreateVersion7().ToString(), Kind = command.Word, PoolId = command.PoolId, Status = OperationState.Running });
        entry.Loop = BackgroundLoop.Start($"{command.Word} {command.PoolId}", cancel => RunAsync(entry, command, cancel), log);
        // A refusal is told to who asked, so its first word is waited for.
        await Task.WhenAny(entry.FirstWord.Task, Task.Delay(s_firstWord, time, CancellationToken.None)).ConfigureAwait(false);
        if (entry.Conflict is { } conflict)
        {
            throw new ProblemException(new Problem(ProblemCode.Conflict, conflict));
        }

        lock (_gate)
        {
            _entries.Add(entry.Id, entry);
            _order.Enqueue(entry.Id);
            while (_order.Count > Most)
            {
                _entries.Remove(_order.Dequeue());
            }
        }

        return entry.Status;
    }

    /// <summary>One of them; null when it is not known, or not any more.</summary>
    public OperationStatus? Find(string id)
    {
        lock (_gate)
        {
            return _entries.GetValueOrDefault(id)?.Status;
        }
    }

    /// <summary>Its present state and each later one, to its end; null when it is not known.</summary>
    public ChannelReader<OperationStatus>? Watch(string id)
    {
        lock (_gate)
        {
            return _entries.GetValueOrDefault(id)?.Watch();
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<Entry> all;
        lock (_gate)
        {
            all = [.. _entries.Values];
        }

        foreach (var entry in all)
        {
            await entry.Loop!.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RunAsync(Entry entry, PoolCommand command, CancellationToken cancel)
    {
        try
        {
            var ended = await node.RunAsync(command, entry.Tell, cancel).ConfigureAwait(false);
            entry.Tell(ended);
        }
        catch (OperationConflictException e)
        {
            // Told as a conflict to who still waits for the first word; to who was let in already, as the end of what he was let into.
            entry.Conflict = e.Message;
            entry.Fail(e.Message);
        }
        catch (Exception e)
        {
            entry.Fail(cancel.IsCancellationRequested ? "the agent is stopping" : $"{command.Word} of pool '{command.PoolId}' broke: {e.Message}");
            throw;
        }
    }

    private sealed class Entry(OperationStatus status)
    {
        private readonly Lock _gate = new();
        private readonly List<Channel<OperationStatus>> _watchers = [];
        private OperationStatus _status = status;

        public string Id { get; } = status.Id;

        public BackgroundLoop? Loop { get; set; }

        public string? Conflict { get; set; }

        public TaskCompletionSource FirstWord { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public OperationStatus Status
        {
            get
            {
                lock (_gate)
                {
                    return _status;
                }
            }
        }

        public void Fail(string reason) => Tell(Status with { Status = OperationState.Failed, Error = reason });

        // The node has its own id for it; ours is the one that was given out.
        public void Tell(OperationStatus status)
        {
            lock (_gate)
            {
                _status = status with { Id = Id };
                foreach (var watcher in _watchers)
                {
                    watcher.Writer.TryWrite(_status);
                    if (_status.Ended)
                    {
                        watcher.Writer.TryComplete();
                    }
                }
            }

            FirstWord.TrySetResult();
        }

        public ChannelReader<OperationStatus> Watch()
        {
            // A slow reader misses steps between, never the end.
            var channel = Channel.CreateBounded<OperationStatus>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest });
            lock (_gate)
            {
                channel.Writer.TryWrite(_status);
                if (_status.Ended)
                {
                    channel.Writer.TryComplete();
                }
                else
                {
                    _watchers.Add(channel);
                }
            }

            return channel.Reader;
        }
    }
}
