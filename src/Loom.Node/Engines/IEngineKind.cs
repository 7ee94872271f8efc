using System.Collections.Immutable;
using System.Globalization;
using Loom.Node.Plans;

namespace Loom.Node.Engines;

/// <summary>Turns a plan into a command line. Pure: it reads no file and starts nothing.</summary>
public interface IEngineKind
{
    /// <summary>The command and the variables it needs.</summary>
    EngineLaunch Launch(LaunchRequest request);
}

/// <summary>The kinds that run a process, by name; <c>openai</c> is not among them, it runs nothing.</summary>
public static class EngineKindTable
{
    private static readonly ImmutableDictionary<string, IEngineKind> s_kinds = ImmutableDictionary.CreateRange(StringComparer.Ordinal,
    [
        KeyValuePair.Create<string, IEngineKind>(EngineKinds.Embedded, new EmbeddedEngine()),
        KeyValuePair.Create<string, IEngineKind>(EngineKinds.LlamaServer, new LlamaServerEngine()),
        KeyValuePair.Create<string, IEngineKind>(EngineKinds.Command, new CommandEngine()),
        KeyValuePair.Create<string, IEngineKind>(EngineKinds.Mock, new MockEngine()),
    ]);

    /// <summary>The kind of that name.</summary>
    /// <exception cref="ArgumentException">There is none, or it runs no process.</exception>
    public static IEngineKind Of(string kind) =>
        s_kinds.TryGetValue(kind, out var found) ? found : throw new ArgumentException($"engine kind '{kind}' runs no process", nameof(kind));
}

/// <summary>Fills <c>{port} {model} {slots} {ctx} {gpu_mask}</c> into arguments a user wrote.</summary>
internal static class LaunchPlaceholders
{
    public static ImmutableArray<string> Fill(ImmutableArray<string> arguments, LaunchRequest request) => [.. arguments.Select(a => Fill(a, request))];

    private static string Fill(string argument, LaunchRequest request) => argument
        .Replace("{port}", Number(request.Port), StringComparison.Ordinal)
        .Replace("{slots}", Number(request.Pool.EffectiveSlots), StringComparison.Ordinal)
        .Replace("{ctx}", Number(request.Ctx), StringComparison.Ordinal)
        .Replace("{gpu_mask}", request.GpuMask, StringComparison.Ordinal)
        .Replace("{model}", request.Model, StringComparison.Ordinal); // last: a path may hold braces

    public static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
