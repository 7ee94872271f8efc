using System.Threading.Channels;
using Loom.Control.Admission;
using Loom.Control.Nodes;
using Loom.Core.Loops;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Swaps;

/// <summary>Has nodes load the models that requests wait for, and tells the desk how it went.</summary>
internal sealed partial class SwapCarrier : IAsyncDisposable
{
    private readonly Channel<SwapOrder> _orders = Channel.CreateUnbounded<SwapOrder>(new UnboundedChannelOptions { SingleReader = true });
    private readonly AdmissionDesk _desk;
    private readonly INodeLink _nodes;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly BackgroundLoop _loop;

    public SwapCarrier(AdmissionDesk desk, INodeLink nodes, TimeProvider time, ILogger log)
    {
        _desk = desk;
        _nodes = nodes;
        _time = time;
        _log = log;
        desk.Carrier = order => _orders.Writer.TryWrite(order);
        _loop = BackgroundLoop.Start("load models on demand", RunAsync, log);
    }

    /// <summary>The error that ended it; null while it runs.</summary>
    public Exception? Fault => _loop.Fault;

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task RunAsync(CancellationToken stop)
    {
        List<Task> running = [];
        await foreach (var order in _orders.Reader.ReadAllAsync(stop).ConfigureAwait(false))
        {
            running.RemoveAll(static task => task.IsCompleted);
            running.Add(CarryAsync(order, stop));
        }
    }

    private async Task CarryAsync(SwapOrder order, CancellationToken stop)
    {
        var began = _time.GetTimestamp();
        LogBegun(_log, order.Model, order.Replica);
        string? failure;
        try
        {
            var ended = await _nodes.RunAsync(order.Replica.NodeId, CommandOf(order), static _ => { }, stop).ConfigureAwait(false);
            failure = ended.Status == OperationState.Succeeded ? null : ended.Error ?? "the node gave no reason";
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        catch (Exception e)
        {
            // Whatever it was, those who wait must not wait for ever.
            failure = e.Message;
        }

        if (failure is null)
        {
            LogDone(_log, order.Model, order.Replica, _time.GetElapsedTime(began).TotalMilliseconds);
        }
        else
        {
            LogFailed(_log, order.Model, order.Replica, failure);
        }

        _desk.SwapEnded(order, failure);
    }

    private static PoolCommand CommandOf(SwapOrder order) => order.Start
        ? new PoolCommand.Preload { PoolId = order.Replica.PoolId, ModelRef = order.Model }
        : new PoolCommand.Swap { PoolId = order.Replica.PoolId, ReplicaName = order.Replica.ReplicaName, Model = order.Model };

    [LoggerMessage(EventId = 330, Level = LogLevel.Information, Message = "requests wait for model '{Model}': loading it on {Replica}")]
    private static partial void LogBegun(ILogger logger, string model, ReplicaId replica);

    [LoggerMessage(EventId = 331, Level = LogLevel.Information, Message = "model '{Model}' loaded on {Replica} in {Ms:F0} ms")]
    private static partial void LogDone(ILogger logger, string model, ReplicaId replica, double ms);

    [LoggerMessage(EventId = 332, Level = LogLevel.Warning, Message = "model '{Model}' could not be loaded on {Replica}: {Reason}")]
    private static partial void LogFailed(ILogger logger, string model, ReplicaId replica, string reason);
}
