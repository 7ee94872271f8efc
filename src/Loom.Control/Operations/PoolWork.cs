using System.Collections.Immutable;
using Loom.Control.Nodes;
using Loom.Wire;

namespace Loom.Control.Operations;

/// <summary>One node's part of a pool.</summary>
/// <param name="NodeId">The node.</param>
/// <param name="Model">Model it has loaded, or loads first.</param>
internal sealed record PoolPart(string NodeId, string Model);

/// <summary>
/// Carries one command out on all nodes of a pool, one node after the other. A reload is all or nothing: where it fails, the nodes that have the new model
/// already get the old one back.
/// </summary>
internal sealed class PoolWork(INodeLink nodes)
{
    /// <summary>Runs the command to its end.</summary>
    /// <param name="operation">Told of every step.</param>
    /// <param name="command">What to do.</param>
    /// <param name="parts">The nodes, in order.</param>
    /// <param name="cancel">Ends the wait.</param>
    public async Task<OperationEnd> RunAsync(Operation operation, PoolCommand command, ImmutableArray<PoolPart> parts, CancellationToken cancel)
    {
        var done = new List<PoolPart>();
        var conflicts = 0;
        var errors = new List<string>();
        foreach (var part in parts)
        {
            var status = await RunAsync(operation, part.NodeId, command, "", cancel).ConfigureAwait(false);
            if (status.Status == OperationState.Succeeded)
            {
                done.Add(part);
                continue;
            }

            var error = $"node '{part.NodeId}': {status.Error ?? "it gave no reason"}";
            conflicts += status.IsConflict ? 1 : 0;
            if (command is PoolCommand.Reload reload)
            {
                if (status.IsConflict && done.Count == 0)
                {
                    return new OperationEnd(OperationState.Failed, error, IsConflict: true);
                }

                return await UndoAsync(operation, reload, done, status.Status, error, cancel).ConfigureAwait(false);
            }

            // What can be drained, stopped or started elsewhere is not held up by one node.
            errors.Add(error);
        }

        return errors.Count == 0 ? OperationEnd.Done : new OperationEnd(OperationState.Failed, string.Join("; ", errors), conflicts == parts.Length);
    }

    private async Task<OperationEnd> UndoAsync(
        Operation operation, PoolCommand.Reload reload, List<PoolPart> done, OperationState failed, string error, CancellationToken cancel)
    {
        var stuck = new List<string>();
        foreach (var part in done)
        {
            var back = reload with { NewModelRef = part.Model };
            var status = await RunAsync(operation, part.NodeId, back, "undo ", cancel).ConfigureAwait(false);
            if (status.Status != OperationState.Succeeded)
            {
                stuck.Add($"node '{part.NodeId}' has the new model and cannot go back to '{part.Model}': {status.Error}");
            }
        }

        return failed == OperationState.RolledBack && stuck.Count == 0
            ? new OperationEnd(OperationState.RolledBack, error)
            : new OperationEnd(OperationState.Failed, string.Join("; ", [error, .. stuck]));
    }

    private async Task<OperationStatus> RunAsync(Operation operation, string nodeId, PoolCommand command, string prefix, CancellationToken cancel)
    {
        var before = operation.Current.Status.Steps;
        void Show(OperationStatus status) => operation.Tell(s => s with { Steps = [.. before, .. status.Steps.Select(step => Named(step, nodeId, command.PoolId, prefix))] });
        var ended = await nodes.RunAsync(nodeId, command, Show, cancel).ConfigureAwait(false);
        if (!ended.IsConflict)
        {
            Show(ended);
        }

        return ended;
    }

    private static OperationStep Named(OperationStep step, string nodeId, string poolId, string prefix) =>
        step with { Step = prefix + step.Step, Group = step.Group ?? $"{nodeId}/{poolId}" };
}
