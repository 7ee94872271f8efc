using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>An engine that somebody else runs, as its handoff file describes it; what the file leaves out is the pool's.</summary>
public sealed record RunningEngine
{
    private const string DefaultHealthPath = "/health";
    private const int DefaultSlots = 4;

    /// <summary>Who it is to the rest of the world.</summary>
    public required ReplicaId Id { get; init; }

    /// <summary>Base of its OpenAI routes, without a trailing slash.</summary>
    public required string Url { get; init; }

    /// <summary>Path below the address without <c>/v1</c> that is probed.</summary>
    public string HealthPath { get; init; } = DefaultHealthPath;

    public required string Kind { get; init; }

    public string? Version { get; init; }

    /// <summary>Id of its model; null = what it says itself.</summary>
    public string? Model { get; init; }

    public ImmutableArray<string> Aliases { get; init; } = [];

    public required int SlotsTotal { get; init; }

    /// <summary>Slots that others use, 0 to <see cref="SlotsTotal"/>.</summary>
    public int SlotsBusy { get; init; }

    public bool StreamUsage { get; init; } = true;

    /// <summary>Its process; null = not told.</summary>
    public int? Pid { get; init; }

    public bool Mock { get; init; }

    /// <summary>Address without <c>/v1</c>, with a trailing slash.</summary>
    public Uri Root => new(Url[..^"v1".Length]);

    /// <summary>Address of the health check.</summary>
    public Uri Health => new(Root, HealthPath.TrimStart('/'));

    /// <summary>Reads it out of a document that was judged good. Pure.</summary>
    /// <param name="nodeId">This node.</param>
    /// <param name="document">The document, with an url.</param>
    /// <param name="pool">The pool it names; null = nobody configured it.</param>
    public static RunningEngine Of(string nodeId, HandoffDocument document, PoolPlan? pool)
    {
        var address = new Uri(document.Url!).GetLeftPart(UriPartial.Path).TrimEnd('/');
        var slots = document.SlotsTotal ?? document.Slots ?? pool?.EffectiveSlots ?? DefaultSlots;
        return new RunningEngine
        {
            Id = new ReplicaId(nodeId, document.PoolId!, HandoffPolicy.RunningName(document, pool)),
            Url = address.EndsWith("/v1", StringComparison.Ordinal) ? address : address + "/v1",
            HealthPath = pool?.Engine.HealthPath ?? DefaultHealthPath,
            Kind = document.Engine ?? pool?.Engine.Kind ?? EngineKinds.Command,
            Version = document.EngineVersion,
            Model = document.Model?.Id ?? pool?.ModelIds[0],
            Aliases = pool?.Aliases ?? [],
            SlotsTotal = slots,
            SlotsBusy = document.SlotsFree is { } free ? slots - Math.Clamp(free, 0, slots) : 0,
            StreamUsage = pool?.Engine.StreamUsage ?? true,
            Pid = document.Pid,
            Mock = document.Mock,
        };
    }

    /// <summary>What the rest of the world is told of it. Pure.</summary>
    /// <param name="facts">What it says about itself.</param>
    /// <param name="trouble">Why it takes no work; null = it does.</param>
    public ReplicaStatus View(EngineFacts facts, string? trouble)
    {
        var model = Model ?? facts.Model ?? Id.PoolId;
        return new ReplicaStatus
        {
            Id = Id,
            State = trouble is null ? ReplicaState.Ready : ReplicaState.Unready,
            EngineKind = Kind,
            EngineVersion = facts.Version ?? Version,
            Model = model,
            Models = [model],
            Aliases = Aliases,
            UpstreamModel = facts.Model is { } own && own != model ? own : null,
            Url = Url,
            SlotsTotal = SlotsTotal,
            SlotsBusyElsewhere = SlotsBusy,
            Ctx = facts.Ctx,
            Created = facts.Created ?? 0,
            Description = facts.Description,
            Capabilities = facts.Capabilities,
            StreamUsage = StreamUsage,
            LastError = trouble,
            Mock = Mock || facts.Mock,
            Source = "handoff",
        };
    }
}
