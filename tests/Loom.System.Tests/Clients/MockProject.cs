using Loom.Testing;
using Xunit;

namespace Loom.SystemTests.Clients;

/// <summary>One running project with a mock engine, shared by the tests of a class.</summary>
public sealed class MockProject : IAsyncLifetime
{
    /// <summary>A <c>loom.toml</c> whose engine is the mock, asked for by name, with extra arguments.</summary>
    public static string Toml(params string[] arguments) => $"""
        [serving.engines.double]
        kind = "mock"
        args = [{string.Join(", ", arguments.Select(a => $"\"{a}\""))}]
        [serving.pools.default]
        engine = "double"
        models = ["demo"]

        """;

    public RunningLoom Loom { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Loom = await RunningLoom.UpAsync(Toml("--tokens-per-second", "200"));

    public ValueTask DisposeAsync() => Loom.DisposeAsync();
}
