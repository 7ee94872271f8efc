using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Node.Plans;

namespace Loom.Node.Engines;

/// <summary>What provisioning found: everything on disk that an engine needs to start.</summary>
public sealed record PreparedEngine
{
    /// <summary>Program to run: node, llama-server, loom; empty for kind <c>command</c>.</summary>
    public required string Program { get; init; }

    /// <summary>Installed adapter folder of kind <c>embedded</c>, else null.</summary>
    public string? Folder { get; init; }

    /// <summary>Version that was resolved; null = unknown until the engine says it.</summary>
    public string? Version { get; init; }

    /// <summary>False when the engine was fetched without a known checksum.</summary>
    public bool Verified { get; init; } = true;

    /// <summary>The model to load; null when the engine takes a bare name.</summary>
    public PreparedModel? Model { get; init; }
}

/// <summary>A model file that is there and whole.</summary>
/// <param name="Id">Catalog id, for example <c>demo</c>.</param>
/// <param name="Path">The GGUF file.</param>
/// <param name="Bytes">Its size.</param>
public sealed record PreparedModel(string Id, string Path, long Bytes)
{
    /// <summary>Its checksum when known.</summary>
    public string? Sha256 { get; init; }

    /// <summary>False when it was fetched without a known checksum.</summary>
    public bool Verified { get; init; } = true;

    /// <summary>Context length from its header or its catalog entry; null = unknown.</summary>
    public int? Ctx { get; init; }

    /// <summary>One line about it from its header; null = none.</summary>
    public string? Description { get; init; }
}

/// <summary>Everything a kind needs to know to write a command line.</summary>
public sealed record LaunchRequest
{
    public required PoolPlan Pool { get; init; }

    /// <summary><c>r0</c>, <c>r1</c> ...</summary>
    public required string Replica { get; init; }

    /// <summary>Port on 127.0.0.1.</summary>
    public required int Port { get; init; }

    public required PreparedEngine Prepared { get; init; }

    /// <summary>Threads of this engine, 1 or more.</summary>
    public required int Threads { get; init; }

    public required LaunchMachine Machine { get; init; }

    /// <summary>Tokens per slot.</summary>
    public int Ctx => Pool.Ctx ?? Math.Min(Prepared.Model?.Ctx ?? DefaultCtx, DefaultCtx);

    /// <summary>What the engine is asked to load: a path, or the model's name where there is no file.</summary>
    public string Model => Prepared.Model?.Path ?? Pool.Models[0];

    /// <summary>Name of the model for clients.</summary>
    public string ModelId => Prepared.Model?.Id ?? Pool.ModelIds[0];

    /// <summary>Whether a GPU of this machine is used: the mask names one that is there.</summary>
    public bool UsesGpu => GpuMask.Length > 0;

    /// <summary>The mask as engines read it: UUIDs, or empty for the CPU.</summary>
    public string GpuMask => Machine.Selected(Pool).Visible;

    /// <summary>Most tokens per slot unless a pool asks for more.</summary>
    public const int DefaultCtx = 8192;
}

/// <summary>Facts of the machine that shape a command line.</summary>
/// <param name="NumaNodes">Memory nodes, 1 or more.</param>
/// <param name="Numactl">Path of numactl; null = not installed.</param>
/// <param name="Gpus">The GPUs.</param>
public sealed record LaunchMachine(int NumaNodes, string? Numactl, IGpuView Gpus)
{
    /// <summary>A GPU is present, whoever may use it.</summary>
    public bool HasGpu => !Gpus.Current.Devices.IsEmpty;

    /// <summary>The GPUs a pool's engines use; none for kinds that know only the CPU.</summary>
    public GpuSelection Selected(PoolPlan pool) => GpuMask.Select(pool.Engine.Kind is EngineKinds.Embedded or EngineKinds.OpenAI ? [] : pool.DeviceMask, Gpus.Current.Devices);
}

/// <summary>How an engine is run: an argument vector and what it adds to the environment.</summary>
public sealed record EngineLaunch(ImmutableArray<string> Command, ImmutableDictionary<string, string> Environment)
{
    public EngineLaunch(ImmutableArray<string> command)
        : this(command, ImmutableDictionary<string, string>.Empty)
    {
    }
}
