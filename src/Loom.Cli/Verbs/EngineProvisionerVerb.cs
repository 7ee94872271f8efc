using System.Collections.Immutable;
using System.CommandLine;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Core.Binaries;
using Loom.Core.Gpus;
using Loom.Core.Settings;
using Loom.Node;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Verbs;

/// <summary>
/// <c>loom engine-provisioner</c>: fetches and checks engine and model of each pool and hands them to the agent of this machine. Its exit codes are those of
/// <see cref="ProvisionExit"/>.
/// </summary>
internal static class EngineProvisionerVerb
{
    private static readonly Option<string?> s_pool = new("--pool") { Description = "Prepare this pool alone; default: every pool of this node" };
    private static readonly Option<bool> s_wait = new("--wait") { Description = "Return only when the agent has taken the engines over and they have made a token" };
    private static readonly Option<bool> s_offline = new("--offline") { Description = "Never touch the network" };
    private static readonly Option<bool> s_allowUnverified = new("--allow-unverified") { Description = "Accept downloads without a known checksum, and mark them so" };

    public static Command Create()
    {
        var command = Verb.Create("engine-provisioner", "Prepare the engines of this machine and hand them to its agent",
            ["loom engine-provisioner --pool chat --wait", "loom engine-provisioner --json", "loom engine-provisioner --offline"], RunAsync);
        foreach (var option in new Option[] { s_pool, s_wait, s_offline, s_allowUnverified })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        if (ProcessConfiguration.LoadStrict(context, parse, LoomPart.EngineProvisioner) is not { } settings)
        {
            return ExitCode.Usage;
        }

        var node = HomePlanner.Node(settings, context, RuntimeOptions.From(settings), parse.GetValue(s_allowUnverified));
        node = node with { Offline = node.Offline || parse.GetValue(s_offline), Pools = Chosen(node, parse.GetValue(s_pool)) };
        Directory.CreateDirectory(node.LogsDir);
        var supervisor = new Supervisor(new SupervisorOptions { RunId = "provisioner-" + Guid.NewGuid().ToString("N"), AdoptStrays = false });
        using var board = context.Terminal.Json ? null : new TaskBoard(context.Terminal, context.Time);
        IProgress<ProvisionProgress> progress = board is null ? new ProgressLines(context.Terminal.Out) : new ProgressOnBoard(board);
        await using (supervisor.ConfigureAwait(false))
        {
            try
            {
                var written = await PrepareAsync(context, node, supervisor, progress, cancellationToken).ConfigureAwait(false);
                if (parse.GetValue(s_wait))
                {
                    await new HandoffWait(context, settings, node).RunAsync(written, progress, cancellationToken).ConfigureAwait(false);
                }

                return ExitCode.Ok;
            }
            catch (ProvisionException e)
            {
                board?.Dispose(); // the list stands above the error
                throw ProvisionErrors.Of(e);
            }
        }
    }

    private static ImmutableArray<PoolPlan> Chosen(NodeOptions node, string? name)
    {
        var prepared = node.Pools.Where(p => p.Engine.Kind != EngineKinds.OpenAI).ToImmutableArray();
        if (name is null)
        {
            return prepared;
        }

        return node.Pools.FirstOrDefault(p => p.Id == name) switch
        {
            null => throw new CliError(ExitCode.Usage, "UNKNOWN_POOL", $"there is no pool '{name}' on this node; there are: {string.Join(", ", prepared.Select(p => p.Id))}",
                "loom config show serving.pools"),
            { Engine.Kind: EngineKinds.OpenAI } => throw new CliError(ExitCode.Usage, "NOTHING_TO_PREPARE", $"pool '{name}' is a provider's API: nothing of it runs here"),
            { } pool => [pool],
        };
    }

    private static async Task<List<HandedOver>> PrepareAsync(
        VerbContext context, NodeOptions node, ISupervisor supervisor, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        var gpus = new GpuInventory(NodeGpus.Sources(node, supervisor, context.Time), node.Gpus.Interval, context.Time, NullLogger.Instance);
        await using var closing = gpus.ConfigureAwait(false);
        var found = await gpus.ScanAsync(cancellationToken).ConfigureAwait(false);
        if (NodeGpus.MaskTroubles(node, found) is { IsEmpty: false } troubles)
        {
            // Known before anything is fetched; it is the step "fit" that asks for it.
            var trouble = string.Join("; ", troubles);
            progress.Report(Step("fit", null, StepStatus.Failed, "failed", trouble));
            throw new ProvisionException(ProvisionExit.GpuMask, trouble);
        }

        using var http = Transfer.CreateClient();
        using var provisioner = new Provisioner(node, supervisor, new Transfer(http, new TransferDisk(), context.Time, new Random()),
            MachineProbe.Launch(node.Environment, gpus), MachineProbe.FreeMemory, context.Time);
        var written = new List<HandedOver>();
        foreach (var pool in node.Pools)
        {
            var prepared = await provisioner.PrepareAsync(pool, progress, cancellationToken).ConfigureAwait(false);
            written.AddRange(Write(node, pool, prepared, found, context.Time, progress));
        }

        return written;
    }

    private static List<HandedOver> Write(NodeOptions node, PoolPlan pool, PreparedEngine prepared, GpuSnapshot gpus, TimeProvider time, IProgress<ProvisionProgress> progress)
    {
        progress.Report(Step("handoff", pool.Id, StepStatus.Running, "write", $"writing to {node.Handoff.WriteFolder}"));
        try
        {
            var within = pool.Engine.ReadyTimeout ?? EngineEffects.ReadyWithin(prepared.Model?.Bytes ?? 0);
            var now = time.GetUtcNow();
            List<HandedOver> written = [.. HandoffDocuments.Of(pool, prepared, gpus).Select(d => new HandedOver(HandoffWriter.Write(node.Handoff.WriteFolder, d), pool.Id, d.ReplicaId!, within, now))];
            progress.Report(Step("handoff", pool.Id, StepStatus.Completed, "done", string.Join(", ", written.Select(w => Path.GetFileName(w.Path)))));
            return written;
        }
        catch (ProvisionException e)
        {
            progress.Report(Step("handoff", pool.Id, StepStatus.Failed, "failed", e.Message));
            throw;
        }
    }

    internal static ProvisionProgress Step(string step, string? pool, StepStatus status, string phase, string human) =>
        new() { Step = step, Kind = "pool_warmup", Group = pool, Status = status, Phase = phase, Human = human };
}

/// <summary>A handoff file that was written.</summary>
/// <param name="Path">The file.</param>
/// <param name="Pool">Its pool.</param>
/// <param name="Replica">Its replica.</param>
/// <param name="Within">How long its engine may take to answer.</param>
/// <param name="Written">When it was written.</param>
internal sealed record HandedOver(string Path, string Pool, string Replica, TimeSpan Within, DateTimeOffset Written);
