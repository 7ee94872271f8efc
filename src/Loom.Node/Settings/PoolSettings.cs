using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Node.Plans;

namespace Loom.Node.Settings;

/// <summary>Settings of engines, pools and models.</summary>
public static class PoolSettings
{
    public static readonly Setting<EngineKindName> Kind = Setting.Enum<EngineKindName>("serving.engines.*.kind", "Kind of engine.",
        [
            (EngineKinds.LlamaServer, EngineKindName.LlamaServer), (EngineKinds.Embedded, EngineKindName.Embedded), (EngineKinds.OpenAI, EngineKindName.OpenAI),
            (EngineKinds.Command, EngineKindName.Command), (EngineKinds.Mock, EngineKindName.Mock),
        ], "required");

    public static readonly Setting<string> Binary = Setting.Path("serving.engines.*.binary", "Its executable; unset = resolved.");

    public static readonly Setting<string> Version = Setting.String("serving.engines.*.version", "Version to resolve.");

    public static readonly Setting<Uri> Url = Setting.Url("serving.engines.*.url", "Download address.");

    public static readonly Setting<string> EngineSha256 = Setting.String("serving.engines.*.sha256", "Checksum of the download.", min: "64", max: "64");

    public static readonly Setting<ImmutableArray<string>> Command = Setting.List("serving.engines.*.command",
        "Command line of kind command; {port} {model} {slots} {ctx} {gpu_mask} are filled in.");

    public static readonly Setting<ImmutableArray<string>> Args = Setting.List("serving.engines.*.args", "Further arguments.");

    public static readonly Setting<Secret> Env = Setting.Hidden("serving.engines.*.env.*", "Variables added to its environment.");

    public static readonly Setting<long> Threads = Setting.Int("serving.engines.*.threads", "Threads; 0 = chosen by Loom.", "0", min: "0", max: "4096");

    public static readonly Setting<string> Numa = Setting.Grammar("serving.engines.*.numa", "NUMA placement.", "interleave;distribute;bind:<nodes>;none",
        ReadNuma, static numa => numa, "interleave");

    public static readonly Setting<string> Provider = Setting.String("serving.engines.*.provider", "Name of the llm provider behind kind openai.");

    public static readonly Setting<string> HealthPath = Setting.String("serving.engines.*.health_path", "Path that is probed.", "/health");

    public static readonly Setting<long> ReadyTimeout = Setting.Int("serving.engines.*.ready_timeout_secs",
        "Time to become ready; unset = 120 + 20 per GiB of model, at most 3600.", min: "1", max: "86400", unit: "s");

    public static readonly Setting<bool> StreamUsage = Setting.Bool("serving.engines.*.stream_usage", "The engine understands stream_options.", "true");

    public static readonly Setting<string> Engine = Setting.String("serving.pools.*.engine", "Engine of the pool.", "embedded");

    public static readonly Setting<ImmutableArray<string>> Models = Setting.List("serving.pools.*.models", "Models; the first is loaded at start.", "demo");

    public static readonly Setting<ImmutableArray<string>> Aliases = Setting.List("serving.pools.*.aliases", "Further model names clients may use.");

    public static readonly Setting<long> Replicas = Setting.Int("serving.pools.*.replicas", "Engines of the pool on one node.", "1", min: "1", max: "64");

    public static readonly Setting<long> Slots = Setting.Int("serving.pools.*.slots", "Parallel sequences of an engine; 16 for kind openai.", "4", min: "1",
        max: "256");

    public static readonly Setting<long> Ctx = Setting.Int("serving.pools.*.ctx", "Tokens per slot; unset = the model's own, at most 8192.", min: "1",
        max: "10000000", unit: "tokens");

    public static readonly Setting<long> GpuLayers = Setting.Int("serving.pools.*.gpu_layers", "Layers on the GPU; unset = all with a GPU, else 0.", min: "0",
        max: "10000");

    public static readonly Setting<bool> Deterministic = Setting.Bool("serving.pools.*.deterministic", "One slot, no continuous batching.", "false");

    public static readonly Setting<ImmutableArray<string>> DeviceMask = Setting.List("serving.pools.*.device_mask", "GPUs of the pool.",
        "{serving.provisioner.gpu_mask}");

    public static readonly Setting<bool> Preload = Setting.Bool("serving.pools.*.preload", "Load at start.", "true");

    public static readonly Setting<bool> Swap = Setting.Bool("serving.pools.*.swap", "Change models on demand; unset = true with more than one model.");

    public static readonly Setting<long> IdleTtl = Setting.Int("serving.pools.*.idle_ttl_secs", "Unload after this idle time; 0 = never.", "0", min: "0",
        max: "31536000", unit: "s");

    public static readonly Setting<long> MinResidency = Setting.Int("serving.pools.*.min_residency_secs", "A model stays loaded at least this long.", "30",
        min: "0", max: "86400", unit: "s");

    public static readonly Setting<string> Source = Setting.String("models.*.source", "Where the model comes from: file, https, hf or catalog reference.",
        "required");

    public static readonly Setting<string> ModelSha256 = Setting.String("models.*.sha256", "Checksum.", min: "64", max: "64");

    public static readonly Setting<long> ModelCtx = Setting.Int("models.*.ctx", "Context length.", min: "1", max: "10000000", unit: "tokens");

    internal static ImmutableArray<Setting> All { get; } =
    [
        Kind, Binary, Version, Url, EngineSha256, Command, Args, Env, Threads, Numa, Provider, HealthPath, ReadyTimeout, StreamUsage,
        Engine, Models, Aliases, Replicas, Slots, Ctx, GpuLayers, Deterministic, DeviceMask, Preload, Swap, IdleTtl, MinResidency,
        Source, ModelSha256, ModelCtx,
    ];

    /// <summary>The name users write for a kind.</summary>
    public static string NameOf(EngineKindName kind) => kind switch
    {
        EngineKindName.LlamaServer => EngineKinds.LlamaServer,
        EngineKindName.OpenAI => EngineKinds.OpenAI,
        EngineKindName.Command => EngineKinds.Command,
        EngineKindName.Mock => EngineKinds.Mock,
        _ => EngineKinds.Embedded,
    };

    private static string? ReadNuma(string text)
    {
        var numa = text.Trim().ToLowerInvariant();
        return numa is "interleave" or "distribute" or "none"
            || (numa.StartsWith("bind:", StringComparison.Ordinal) && !Loom.Node.Threads.CpuFacts.CpuList(numa[5..]).IsEmpty) ? numa : null;
    }
}

/// <summary>The kinds of engine as a closed list.</summary>
public enum EngineKindName
{
    LlamaServer,
    Embedded,
    OpenAI,
    Command,
    Mock,
}
