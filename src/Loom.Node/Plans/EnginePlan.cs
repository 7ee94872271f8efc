using System.Collections.Immutable;

namespace Loom.Node.Plans;

/// <summary>One <c>[serving.engines.NAME]</c> table: how an engine is obtained and started.</summary>
public sealed record EnginePlan
{
    /// <summary>Name of the table, or <c>embedded</c> for the built-in engine.</summary>
    public required string Name { get; init; }

    /// <summary><c>embedded</c>, <c>llama-server</c>, <c>openai</c>, <c>command</c> or <c>mock</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Path of the executable; null = resolved.</summary>
    public string? Binary { get; init; }

    /// <summary>Version to resolve; null = whatever is found.</summary>
    public string? Version { get; init; }

    /// <summary>Where the executable may be downloaded from; null = it is not.</summary>
    public Uri? Url { get; init; }

    /// <summary>Checksum of that download, 64 hex digits.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Command line of kind <c>command</c>, with <c>{port} {model} {slots} {ctx} {gpu_mask}</c> to fill in.</summary>
    public ImmutableArray<string> Command { get; init; } = [];

    /// <summary>Further arguments, after Loom's own; the same names are filled in.</summary>
    public ImmutableArray<string> Args { get; init; } = [];

    /// <summary>Variables added to the engine's environment; they win over Loom's.</summary>
    public ImmutableDictionary<string, string> Env { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Threads; 0 = chosen by Loom.</summary>
    public int Threads { get; init; }

    /// <summary><c>interleave</c>, <c>distribute</c>, <c>bind:NODES</c> or <c>none</c>.</summary>
    public string Numa { get; init; } = "interleave";

    /// <summary>The <c>[llm.NAME]</c> behind kind <c>openai</c>.</summary>
    public string? Provider { get; init; }

    /// <summary>Path that is probed.</summary>
    public string HealthPath { get; init; } = "/health";

    /// <summary>Time to become ready; null = 120 s and 20 s per GiB of model, at most 3600 s.</summary>
    public TimeSpan? ReadyTimeout { get; init; }

    /// <summary>Whether the engine understands <c>stream_options</c>.</summary>
    public bool StreamUsage { get; init; } = true;

    /// <summary>The engine of a machine nobody has configured.</summary>
    public static EnginePlan Embedded { get; } = new() { Name = "embedded", Kind = EngineKinds.Embedded };
}

/// <summary>The five kinds of engine, by the names users write.</summary>
public static class EngineKinds
{
    public const string Embedded = "embedded";
    public const string LlamaServer = "llama-server";
    public const string OpenAI = "openai";
    public const string Command = "command";
    public const string Mock = "mock";
}
