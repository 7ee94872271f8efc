using System.Collections.Immutable;
using Loom.Control.Nodes;
using Loom.Wire;

namespace Loom.Control.Operations;

/// <summary>Has several nodes do the same with a model, one after the other; one that fails does not hold the others up.</summary>
internal sealed class ModelWork(INodeLink nodes)
{
    /// <summary>Runs to the end.</summary>
    /// <param name="operation">Told of every step.</param>
    /// <param name="parts">The nodes, each with one of its pools.</param>
    /// <param name="command">What to do, for a pool.</param>
    /// <param name="cancel">Ends the wait.</param>
    public async Task<OperationEnd> RunAsync(
        Operation operation, ImmutableArray<(string NodeId, string PoolId)> parts, Func<string, PoolCommand> command, CancellationToken cancel)
    {
        if (parts.IsEmpty)
        {
            return new OperationEnd(OperationState.Failed, "no node is online that keeps model files; ask again when one is");
        }

        var errors = new List<string>();
        foreach (var (nodeId, poolId) in parts)
        {
            var before = operation.Current.Status.Steps;
            void Show(OperationStatus status) => operation.Tell(s => s with { Steps = [.. before, .. status.Steps.Select(step => step with { Group = step.Group ?? nodeId })] });
            var ended = await nodes.RunAsync(nodeId, command(poolId), Show, cancel).ConfigureAwait(false);
            Show(ended);
            if (ended.Status != OperationState.Succeeded)
            {
                errors.Add($"node '{nodeId}': {ended.Error ?? "it gave no reason"}");
            }
        }

        return errors.Count == 0 ? OperationEnd.Done : new OperationEnd(OperationState.Failed, string.Join("; ", errors));
    }
}
