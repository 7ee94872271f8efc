using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary><c>loom nodes</c> and <c>loom pools</c> against a control plane that runs alone, with one node.</summary>
public sealed class NodesVerbTests : IAsyncLifetime
{
    private readonly ClusterWorld _world = new();
    private readonly TempFolder _elsewhere = new();

    public async ValueTask InitializeAsync() => await _world.StartControlAsync();

    public async ValueTask DisposeAsync()
    {
        await _world.DisposeAsync();
        _elsewhere.Dispose();
    }

    [Fact(Timeout = 300_000)]
    public async Task Nodes_DrainUndrainRm_DoWhatTheySay()
    {
        await using var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online", ready: true);

        var table = await LoomAsync("nodes");
        table.Exit.ShouldBe(0, table.Err);
        table.Out.ShouldContain("one");
        table.Out.ShouldContain("online");
        table.Out.ShouldContain("2/2 free");

        (await LoomAsync("nodes", "drain", "one", "--deadline", "5s")).Err.ShouldContain("node one takes no new work");
        (await _world.NodeAsync("one"))!.Draining.ShouldBeTrue();
        (await LoomAsync("nodes")).Out.ShouldContain("online, draining");
        (await LoomAsync("nodes", "undrain", "one")).Exit.ShouldBe(0);
        (await _world.NodeAsync("one"))!.Draining.ShouldBeFalse();

        await one.KillAsync();
        (await LoomAsync("nodes", "rm", "one")).Exit.ShouldBe(0);
        (await _world.NodeAsync("one")).ShouldBeNull();
        using var empty = JsonDocument.Parse((await LoomAsync("nodes", "--json")).Out);
        empty.RootElement.GetProperty("count").GetInt32().ShouldBe(0);

        var unknown = await LoomAsync("nodes", "drain", "two");
        unknown.Exit.ShouldBe(3);
        unknown.Err.ShouldContain("two");
    }

    [Fact(Timeout = 300_000)]
    public async Task Pools_OfAControlPlaneElsewhere_AreShownAndOperated()
    {
        await using var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online", ready: true);

        (await LoomAsync("pools")).Out.ShouldContain("ready");
        var reload = await LoomAsync("pools", "reload", "default", "other");
        reload.Exit.ShouldBe(0, reload.Err);
        await ClusterWorld.WaitAsync(async () => (await LoomAsync("pools")).Out.Contains("other", StringComparison.Ordinal), "the control plane hears of the new model");
        var drain = await LoomAsync("pools", "drain", "default", "--deadline", "5s");
        drain.Exit.ShouldBe(0, drain.Err);
        await ClusterWorld.WaitAsync(async () => (await LoomAsync("pools")).Out.Contains("draining", StringComparison.Ordinal), "the pool drains");
        (await LoomAsync("pools", "undrain", "default")).Exit.ShouldBe(0);
        await _world.UntilAsync("one", "online", ready: true);
    }

    [Fact(Timeout = 300_000)]
    public async Task Token_WrongOrNone_IsTold()
    {
        var wrong = await RunningLoom.RunAsync(_elsewhere.Path, ["nodes", "--url", Url], [("LLORCH_API_TOKEN", "another-token-0123456789abcdefghijklm")]);
        wrong.Exit.ShouldBe(2);
        (wrong.Out + wrong.Err).ShouldNotContain("another-token");
        var nobody = await RunningLoom.RunAsync(_elsewhere.Path, ["nodes", "--url", "http://127.0.0.1:9"]);
        nobody.Exit.ShouldBe(3);
        nobody.Err.ShouldContain("--url");
        (await RunningLoom.RunAsync(_elsewhere.Path, ["nodes", "--url", "queen-rbee"])).Exit.ShouldBe(2);
    }

    private string Url => _world.Api.GetLeftPart(UriPartial.Authority);

    private Task<(int Exit, string Out, string Err)> LoomAsync(params string[] arguments) =>
        RunningLoom.RunAsync(_elsewhere.Path, [.. arguments, "--url", Url], [("LLORCH_API_TOKEN", ClusterWorld.Token)]);
}
