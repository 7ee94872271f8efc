using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Commands about a model's file on this machine. They concern no pool, so none is held up by them.</summary>
internal sealed class ModelCommands(NodeOptions options, IProvisioner provisioner)
{
    /// <summary>Runs one to its end; null = the command is not about a file.</summary>
    public Task<OperationStatus>? Run(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken)
    {
        var log = new OperationLog(command.Word, command.PoolId, options.NodeId, progress);
        return command switch
        {
            PoolCommand.Fetch fetch => DoAsync(log, () => FetchAsync(fetch, log, cancellationToken)),
            PoolCommand.Verify verify => DoAsync(log, () => VerifyAsync(verify, log, cancellationToken)),
            _ => null,
        };
    }

    private static async Task<OperationStatus> DoAsync(OperationLog log, Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
            return log.End(OperationState.Succeeded, null);
        }
        catch (Exception e) when (e is ProvisionException or IOException or UnauthorizedAccessException)
        {
            return log.End(OperationState.Failed, e.Message);
        }
    }

    private Task FetchAsync(PoolCommand.Fetch fetch, OperationLog log, CancellationToken cancellationToken) =>
        provisioner.FetchAsync(fetch.ModelId, fetch.Source, fetch.Sha256, log, cancellationToken);

    private async Task VerifyAsync(PoolCommand.Verify verify, OperationLog log, CancellationToken cancellationToken)
    {
        var step = $"verify:{verify.ModelId}";
        log.Running(step, StepKinds.Verify, "reading it through");
        var result = await new ModelStore(options).VerifyAsync(verify.ModelId, cancellationToken).ConfigureAwait(false);
        var expected = verify.Sha256?.ToLowerInvariant() ?? result.Expected;
        var trouble = result.Model.Trouble ?? (expected is null || expected == result.Found ? null : $"'{result.Model.Path}' has SHA-256 {result.Found}, {expected} was expected");
        if (trouble is not null)
        {
            log.Failed(step, StepKinds.Verify, trouble);
            throw new ProvisionException(ProvisionExit.Checksum, trouble);
        }

        log.Done(step, StepKinds.Verify, $"SHA-256 {result.Found}{(expected is null ? ", nothing to compare it with" : "")}");
    }
}
