using System.Collections.Immutable;
using Loom.Core.Binaries;
using Loom.Node.Engines;
using Loom.Node.Gguf;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Processes;

namespace Loom.Node.Provisioning;

/// <summary>The real provisioner: steps <c>engine:KIND</c>, <c>model:REF</c> and <c>fit</c>, each reported, each once for all who ask.</summary>
public sealed class Provisioner : IProvisioner, IDisposable
{
    /// <summary>Base of <c>hf:</c> references unless <c>HF_ENDPOINT</c> names a mirror.</summary>
    private const string Hub = "https://huggingface.co";

    private readonly NodeOptions _options;
    private readonly TimeProvider _time;
    private readonly NodeRuntime _node;
    private readonly EmbeddedInstaller _embedded;
    private readonly LlamaServerFinder _llamaServer;
    private readonly ModelFetcher _models;
    private readonly LaunchMachine _machine;
    private readonly Func<long> _freeMemory;
    private readonly MeasuredMemory _measured;
    private readonly SemaphoreSlim _engineStep = new(1, 1); // helpers share a log; replicas of one pool want the same engine

    /// <summary>Makes it.</summary>
    /// <param name="options">Folders and rules.</param>
    /// <param name="supervisor">Runs helpers such as npm.</param>
    /// <param name="transfer">Fetches files.</param>
    /// <param name="machine">The GPUs.</param>
    /// <param name="freeMemory">Memory that engines on the CPU may take now, bytes.</param>
    /// <param name="time">Clock.</param>
    public Provisioner(NodeOptions options, ISupervisor supervisor, Transfer transfer, LaunchMachine machine, Func<long> freeMemory, TimeProvider time)
    {
        _machine = machine;
        _freeMemory = freeMemory;
        _measured = new MeasuredMemory(options.CacheDir);
        _options = options;
        _time = time;
        var oneShot = new OneShot(supervisor, options, time);
        _node = new NodeRuntime(options, oneShot);
        _embedded = new EmbeddedInstaller(options, oneShot, time);
        _llamaServer = new LlamaServerFinder(options, transfer, oneShot, time);
        _models = new ModelFetcher(options.ModelsDir, options.Offline, options.AllowUnverified, transfer, time);
    }

    /// <inheritdoc/>
    public ModelStore? Models => new(_options, _models);

    public async Task<PreparedEngine> PrepareAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        var engine = await EngineAsync(pool, progress, cancellationToken).ConfigureAwait(false);
        var model = ReferenceOf(pool) is { } reference
            ? await _models.FetchAsync(reference, progress, pool.Id, cancellationToken).ConfigureAwait(false) : null;
        return engine with { Model = await FitAsync(pool, engine, model, progress).ConfigureAwait(false) };
    }

    public void Dispose() => _engineStep.Dispose();

    private async Task<PreparedEngine> EngineAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        var step = new StepReporter(progress, _time, $"engine:{pool.Engine.Kind}", "engine_provision", pool.Id);
        await _engineStep.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await step.RunAsync("looking for it", () => pool.Engine.Kind switch
            {
                EngineKinds.Embedded => EmbeddedAsync(pool, step, cancellationToken),
                EngineKinds.LlamaServer => _llamaServer.FindAsync(pool, step, cancellationToken),
                EngineKinds.Mock => Task.FromResult(new PreparedEngine { Program = _options.LoomProgram }),
                _ => Task.FromResult(new PreparedEngine { Program = "" }),
            }).ConfigureAwait(false);
        }
        finally
        {
            _engineStep.Release();
        }
    }

    private async Task<PreparedEngine> EmbeddedAsync(PoolPlan pool, StepReporter step, CancellationToken cancellationToken)
    {
        var (node, _) = await _node.FindAsync(pool, cancellationToken).ConfigureAwait(false);
        var folder = await _embedded.InstallAsync(step, cancellationToken).ConfigureAwait(false);
        return new PreparedEngine { Program = node, Folder = folder, Version = EmbeddedInstaller.VersionOf(folder) };
    }

    /// <summary>Looks for the GPUs and reads the header, so that a wrong mask and a broken or oversized model are told in words instead of by a crash loop.</summary>
    private Task<PreparedModel?> FitAsync(PoolPlan pool, PreparedEngine engine, PreparedModel? model, IProgress<ProvisionProgress> progress)
    {
        // Engines of kind command read formats of their own.
        var hasHeader = model is not null && (pool.Engine.Kind != EngineKinds.Command || model.Path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase));
        var wrongMask = NodeGpus.MaskTroubles(_options with { Pools = [pool] }, _machine.Gpus.Current);
        if (!hasHeader && wrongMask.IsEmpty)
        {
            return Task.FromResult(model);
        }

        var step = new StepReporter(progress, _time, "fit", "pool_warmup", pool.Id);
        return step.RunAsync("reading the model's header", () =>
        {
            if (!wrongMask.IsEmpty)
            {
                throw new ProvisionException(ProvisionExit.GpuMask, string.Join("; ", wrongMask));
            }

            var (header, otherParts) = Header(model!);
            var known = model! with
            {
                Ctx = _options.Models.GetValueOrDefault(pool.Models[0])?.Ctx ?? header.ContextLength,
                Description = header.Description,
            };
            return FitTrouble(pool, engine, known, header with { WeightBytes = header.WeightBytes + otherParts }) is { } trouble
                ? throw new ProvisionException(ProvisionExit.DoesNotFit, trouble)
                : Task.FromResult<PreparedModel?>(known);
        });
    }

    private string? FitTrouble(PoolPlan pool, PreparedEngine engine, PreparedModel model, GgufModel header)
    {
        var ctx = pool.Ctx ?? Math.Min(model.Ctx ?? LaunchRequest.DefaultCtx, LaunchRequest.DefaultCtx);
        var slots = pool.EffectiveSlots;
        var gpus = _machine.Selected(pool).Devices;
        var onCpu = gpus.IsEmpty || pool.GpuLayers == 0;
        var fit = ModelFit.Of(header, ctx, slots) with { Measured = _measured.Of(MeasuredMemory.KeyOf(pool, engine, model, !onCpu)) };
        return onCpu
            ? fit.Trouble(model.Id, pool.Id, ctx, slots, _freeMemory())
            : GpuFit.Of(fit, pool.GpuLayers, header.BlockCount).Trouble(model.Id, pool.Id, ctx, slots, gpus, _freeMemory());
    }

    private static (GgufModel Header, long OtherParts) Header(PreparedModel model)
    {
        try
        {
            var header = GgufReader.Read(model.Path);
            return (header, GgufParts.OtherBytes(model.Path, header.SplitCount, path => File.Exists(path) ? new FileInfo(path).Length : null));
        }
        catch (GgufException e)
        {
            throw new ProvisionException(ProvisionExit.BadModel, $"model '{model.Id}': {e.Message}", e);
        }
    }

    private ModelReference? ReferenceOf(PoolPlan pool)
    {
        var text = pool.Models[0];
        var needsFile = pool.Engine.Kind switch
        {
            EngineKinds.Embedded or EngineKinds.LlamaServer => true,
            // A command may take names of its own (a hub id, say); only what Loom understands, and the command asks for, becomes a file.
            EngineKinds.Command => pool.Engine.Command.Concat(pool.Engine.Args).Any(a => a.Contains("{model}", StringComparison.Ordinal))
                && (text == "demo" || _options.Models.ContainsKey(text) || ModelReference.IdFor(text) != text),
            _ => false,
        };
        return needsFile ? Reference(text) : null;
    }

    // What was fetched under an id can be named by it, whether or not the configuration knows it.
    private ModelReference Reference(string text) =>
        text != "demo" && ModelReference.IdFor(text) == text && !_options.Models.ContainsKey(text)
            && new ModelStore(_options).List().FirstOrDefault(m => m.Id == text) is { Path: { } path, Verified: true }
            ? new ModelReference.LocalFile(path) { Id = text }
            : ModelReference.Parse(text, _options.Models, _options.WorkingDirectory, HubOf(_options.Environment));

    /// <summary>Where <c>hf:</c> references lead.</summary>
    internal static Uri HubOf(ImmutableDictionary<string, string> environment) =>
        Uri.TryCreate(environment.GetValueOrDefault("HF_ENDPOINT"), UriKind.Absolute, out var mirror) ? mirror : new Uri(Hub);
}
