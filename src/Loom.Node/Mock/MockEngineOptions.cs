using System.Collections.Immutable;

namespace Loom.Node.Mock;

/// <summary>How a mock engine behaves. Everything it answers carries <c>"mock":true</c>.</summary>
public sealed record MockEngineOptions
{
    /// <summary>Port on 127.0.0.1; 0 = any free port.</summary>
    public int Port { get; init; }

    /// <summary>Model id it claims to serve.</summary>
    public string Model { get; init; } = "mock";

    /// <summary>Requests it generates for at once; further ones wait.</summary>
    public int Slots { get; init; } = 4;

    /// <summary>Tokens per slot; longer requests get <c>context_length_exceeded</c>.</summary>
    public int Ctx { get; init; } = 8192;

    /// <summary>Pause before the first token.</summary>
    public TimeSpan TimeToFirstToken { get; init; }

    /// <summary>Pace of generation; 0 = as fast as it can.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Pace of prompt processing, cached tokens excluded; 0 = at once.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Seed of a ±20 % variation of every pause; null = none.</summary>
    public int? JitterSeed { get; init; }

    /// <summary>Time from the start until <c>/health</c> says ok.</summary>
    public TimeSpan Load { get; init; }

    /// <summary>Whether log-probabilities are answered; otherwise asking for them is a 400.</summary>
    public bool Logprobs { get; init; } = true;

    /// <summary>Routes beside chat, completions and embeddings that it declares and answers; default all of <see cref="MockRoutes.Further"/>.</summary>
    public ImmutableArray<string> Routes { get; init; } = MockRoutes.Further;

    /// <summary>Fault applied to every request that names none of its own in <c>x-mock-fault</c>.</summary>
    public MockFault Fault { get; init; } = MockFault.None;
}
