using System.Globalization;
using Loom.Core.Binaries;
using Loom.Node.Engines;

namespace Loom.Node.Provisioning;

/// <summary>
/// Brings a model into the models folder, whole and checked, once for all who ask. A file that lies there with its record is used as it is; <c>loom model
/// verify</c> reads it through again.
/// </summary>
/// <param name="modelsDir">Absolute; made when missing.</param>
/// <param name="offline">Never touch the network.</param>
/// <param name="allowUnverified">Fetch without a known checksum.</param>
/// <param name="transfer">Fetches.</param>
/// <param name="time">Clock.</param>
public sealed class ModelFetcher(string modelsDir, bool offline, bool allowUnverified, Transfer transfer, TimeProvider time)
{
    /// <summary>The model, fetched if it is not there yet.</summary>
    /// <exception cref="ProvisionException">It cannot be had.</exception>
    public async Task<PreparedModel> FetchAsync(ModelReference reference,
        IProgress<ProvisionProgress> progress, string? group, CancellationToken cancellationToken)
    {
        var step = new StepReporter(progress, time, $"model:{reference.Id}", "model_fetch", group);
        return await step.RunAsync("looking for it", () => reference switch
        {
            ModelReference.LocalFile file => InPlaceAsync(file, cancellationToken),
            ModelReference.Demo => DemoAsync(step, cancellationToken),
            ModelReference.Remote remote => RemoteAsync(remote, step, cancellationToken),
            _ => throw new InvalidOperationException($"unknown kind of model reference: {reference}"),
        }).ConfigureAwait(false);
    }

    private static async Task<PreparedModel> InPlaceAsync(ModelReference.LocalFile reference, CancellationToken cancellationToken)
    {
        if (!File.Exists(reference.Path))
        {
            throw new ProvisionException(ProvisionExit.NotFound, $"model '{reference.Id}': there is no file '{reference.Path}'");
        }

        if (reference.Sha256 is { } wanted
            && await Checksum.OfFileAsync(reference.Path, cancellationToken).ConfigureAwait(false) is var found && found != wanted)
        {
            throw new ProvisionException(ProvisionExit.Checksum, $"model '{reference.Id}': '{reference.Path}' has SHA-256 {found}, {wanted} was expected");
        }

        // A file the user put there himself is his word; "verified" is about what came over the network.
        return new PreparedModel(reference.Id, reference.Path, new FileInfo(reference.Path).Length) { Sha256 = reference.Sha256 };
    }

    private Task<PreparedModel> DemoAsync(StepReporter step, CancellationToken cancellationToken) =>
        OnceAsync(Path.Combine(modelsDir, Demo.DemoModel.FileName), Demo.DemoModel.Id, Demo.DemoModel.Sha256, step, target =>
        {
            step.Phase("write", "writing it");
            DemoFile.Write(target, Demo.DemoModel.Sha256);
            return Task.FromResult(Record("demo", "demo", Demo.DemoModel.Sha256, new FileInfo(target).Length, verified: true));
        }, cancellationToken);

    private Task<PreparedModel> RemoteAsync(ModelReference.Remote reference, StepReporter step, CancellationToken cancellationToken) =>
        OnceAsync(Path.Combine(modelsDir, reference.Place), reference.Id, reference.Sha256, step, async target =>
        {
            if (offline)
            {
                throw new ProvisionException(ProvisionExit.Download,
                    $"model '{reference.Id}' is not at '{target}', and serving.provisioner.offline forbids the network; put the file there or allow the "
                        + $"network once");
            }

            try
            {
                var sha256 = reference.Sha256 ?? (reference.FromHub
                    ? await transfer.PublishedSha256Async(reference.Url, cancellationToken).ConfigureAwait(false) : null);
                var request = new TransferRequest(reference.Url, target) { Sha256 = sha256, AllowUnverified = allowUnverified };
                var result = await transfer.FetchAsync(request, step, cancellationToken).ConfigureAwait(false);
                return Record(reference.Id, reference.Url.OriginalString, result.Sha256, result.Bytes, result.Verified);
            }
            catch (TransferException e)
            {
                throw new ProvisionException(ExitOf(e.Fault), $"model '{reference.Id}': {e.Message}", e);
            }
        }, cancellationToken);

    private async Task<PreparedModel> OnceAsync(string target, string id, string? sha256, StepReporter step,
        Func<string, Task<ModelRecord>> fetch, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        if (await PresentAsync(target, id, sha256, cancellationToken).ConfigureAwait(false) is { } present)
        {
            return present;
        }

        using var held = await ArtifactLock.TakeAsync(target + ".lock", holder => step.Phase("wait", $"{holder} is fetching it"), time,
            cancellationToken).ConfigureAwait(false);
        if (await PresentAsync(target, id, sha256, cancellationToken).ConfigureAwait(false) is { } meanwhile)
        {
            return meanwhile;
        }

        try
        {
            var record = await fetch(target).ConfigureAwait(false);
            record.Write(target);
            return Prepared(record, id, target);
        }
        catch (IOException e) when (TransferDisk.IsFull(e))
        {
            throw new ProvisionException(ProvisionExit.DiskFull, $"model '{id}': the disk of '{modelsDir}' is full", e);
        }
    }

    private async Task<PreparedModel?> PresentAsync(string target, string id, string? sha256, CancellationToken cancellationToken)
    {
        if (!File.Exists(target))
        {
            return null;
        }

        var bytes = new FileInfo(target).Length;
        var record = ModelRecord.Read(target);
        if (record is null || record.Bytes != bytes)
        {
            // Somebody put it there by hand, or changed it: what it is decides, not what we remember.
            record = Record(id, target, await Checksum.OfFileAsync(target, cancellationToken).ConfigureAwait(false), bytes, verified: false);
            record = record with { Verified = sha256 == record.Sha256 };
        }

        if (sha256 is not null && record.Sha256 != sha256)
        {
            var aside = string.Create(CultureInfo.InvariantCulture, $"{target}.wrong-{time.GetUtcNow():yyyyMMddHHmmss}");
            File.Move(target, aside);
            File.Delete(ModelRecord.PathOf(target));
            return null;
        }

        if (!record.Verified && sha256 is null && !allowUnverified)
        {
            throw new ProvisionException(ProvisionExit.Checksum,
                $"model '{id}': '{target}' (SHA-256 {record.Sha256}) was never checked against a known checksum; give that checksum if it is right, or "
                    + $"allow it unverified (--allow-unverified)");
        }

        if (ModelRecord.Read(target) != record)
        {
            record.Write(target);
        }

        return Prepared(record, id, target);
    }

    private ModelRecord Record(string id, string source, string sha256, long bytes, bool verified) =>
        new() { Id = id, Source = source, Sha256 = sha256, Bytes = bytes, Verified = verified, FetchedAt = time.GetUtcNow() };

    private static PreparedModel Prepared(ModelRecord record, string id, string target) =>
        new(id, target, record.Bytes) { Sha256 = record.Sha256, Verified = record.Verified };

    /// <summary>The exit code for a fault of a transfer.</summary>
    internal static ProvisionExit ExitOf(TransferFault fault) => fault switch
    {
        TransferFault.NotFound => ProvisionExit.NotFound,
        TransferFault.Wrong or TransferFault.Refused => ProvisionExit.Checksum,
        TransferFault.DiskFull => ProvisionExit.DiskFull,
        _ => ProvisionExit.Download,
    };
}
