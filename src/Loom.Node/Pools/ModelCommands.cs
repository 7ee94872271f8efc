using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Fetches and checks models for the control plane's catalog. They concern the machine, so they run beside whatever its pools do.</summary>
internal static class ModelCommands
{
    private const string StepKind = "model_fetch";
    private const string HashMark = "#sha256=";

    /// <summary>Whether a command is about a model of the machine.</summary>
    public static bool Handles(PoolCommand command) => command is PoolCommand.Fetch or PoolCommand.Verify;

    /// <summary>Runs it to its end.</summary>
    public static async Task<OperationStatus> RunAsync(
        ModelStore? models, PoolCommand command, string nodeId, Action<OperationStatus> progress, CancellationToken cancellationToken)
    {
        var log = new OperationLog(command.Word, command.PoolId, nodeId, progress);
        if (models is null)
        {
            return log.End(OperationState.Failed, $"node '{nodeId}' fetches no models");
        }

        try
        {
            var error = command is PoolCommand.Fetch fetch
                ? await FetchAsync(models, fetch, log, cancellationToken).ConfigureAwait(false)
                : await VerifyAsync(models, (PoolCommand.Verify)command, log, cancellationToken).ConfigureAwait(false);
            return log.End(error is null ? OperationState.Succeeded : OperationState.Failed, error);
        }
        catch (Exception e) when (e is ProvisionException or IOException or UnauthorizedAccessException)
        {
            return log.End(OperationState.Failed, e.Message);
        }
    }

    private static async Task<string?> FetchAsync(ModelStore models, PoolCommand.Fetch fetch, OperationLog log, CancellationToken cancellationToken)
    {
        // An id stands for itself; behind an address the checksum makes it one that may be fetched.
        var isAddress = fetch.Source.Contains(':', StringComparison.Ordinal) && !fetch.Source.Contains(HashMark, StringComparison.Ordinal);
        var reference = isAddress && fetch.Sha256 is { } sha256 ? fetch.Source + HashMark + sha256 : fetch.Source;
        // Kept under its catalog id, by which pools may load it from now on.
        var listing = await models.PullAsync(reference, log, cancellationToken, fetch.ModelId).ConfigureAwait(false);
        return fetch.Sha256 is { } wanted && listing.Sha256 is { } found && found != wanted
            ? $"the file of model '{fetch.ModelId}' has SHA-256 {found}, not {wanted} as registered"
            : null;
    }

    private static async Task<string?> VerifyAsync(ModelStore models, PoolCommand.Verify verify, OperationLog log, CancellationToken cancellationToken)
    {
        var step = $"model:{verify.ModelId}";
        if (!models.List().Any(m => m.Id == verify.ModelId && m.Path is not null))
        {
            log.Absent(step, StepKind, $"there is no file of model '{verify.ModelId}' on this node");
            return null;
        }

        log.Running(step, StepKind, "reads the file through");
        var found = await models.VerifyAsync(verify.ModelId, cancellationToken).ConfigureAwait(false);
        var expected = verify.Sha256 ?? found.Expected;
        var error = found.Model.Trouble is { } trouble ? $"model '{verify.ModelId}': {trouble}"
            : expected is null ? $"model '{verify.ModelId}' has SHA-256 {found.Found}, but no checksum is known to compare it with; register its digest"
            : expected != found.Found ? $"model '{verify.ModelId}' has SHA-256 {found.Found}, not {expected}; delete the file and fetch it again"
            : null;
        if (error is null)
        {
            log.Done(step, StepKind, $"sha256 {found.Found}");
        }
        else
        {
            log.Failed(step, StepKind, error);
        }

        return error;
    }
}
