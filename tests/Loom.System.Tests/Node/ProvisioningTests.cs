using System.Collections.Concurrent;
using Loom.Core.Binaries;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.SystemTests.Binaries;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Node;

public sealed class ProvisioningTests : IAsyncLifetime
{
    private readonly NodeWorld _world = new();
    private readonly Steps _steps = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact(Timeout = 300_000)]
    public async Task Embedded_EmptyCache_InstallsWritesTheDemoModelAndAnswers()
    {
        _world.Start(new PoolPlan { Id = "default", Engine = EnginePlan.Embedded, Slots = 2 });
        await _world.Until(ReplicaState.Ready, TimeSpan.FromMinutes(4));
        _world.Replica.Model.ShouldBe("demo");
        _world.Replica.Ctx.ShouldBe(2048);
        _world.Replica.Description!.ShouldContain("word-bigram demo");
        _world.Replica.EngineVersion!.ShouldStartWith("node-llama-cpp 3.");
        _world.Replica.Capabilities.ShouldContain("embeddings");
        _world.Replica.Capabilities.ShouldContain("logprobs:post_sampling");
        using var http = new HttpClient();
        using var answer = await http.PostAsync(_world.Replica.Url + "/completions", new StringContent("""{"prompt":"the weaver","max_tokens":5}"""));
        answer.IsSuccessStatusCode.ShouldBeTrue(await answer.Content.ReadAsStringAsync());
        await _world.Agent.StopAsync(CancellationToken.None);

        // The second time nothing is fetched, so no network is needed.
        using var provisioner = _world.NewProvisioner(o => o with { Offline = true });
        var prepared = await provisioner.PrepareAsync(new PoolPlan { Id = "default", Engine = EnginePlan.Embedded }, _steps, CancellationToken.None);
        prepared.Folder!.ShouldStartWith(_world.Options.CacheDir);
        _steps.ShouldNotContain(s => s.Phase == "install");

        // A damaged installation is noticed.
        await File.AppendAllTextAsync(Path.Combine(prepared.Folder!, EmbeddedEngine.EntryPoint), "// changed\n");
        (await FailAsync(provisioner, new PoolPlan { Id = "default", Engine = EnginePlan.Embedded })).Exit.ShouldBe(ProvisionExit.Download);
    }

    [Fact(Timeout = 240_000)]
    public async Task Embedded_RegistryOutOfReach_SaysSoAndLeavesNothing()
    {
        var environment = _world.Options.Environment.SetItem("npm_config_registry", "http://127.0.0.1:9/").SetItem("npm_config_fetch_retries",
            "0").SetItem("npm_config_cache", Path.Combine(_world.Folder, "npm"));
        using var provisioner = _world.NewProvisioner(o => o with { Environment = environment });
        var error = await FailAsync(provisioner, new PoolPlan { Id = "default", Engine = EnginePlan.Embedded });
        error.Exit.ShouldBe(ProvisionExit.Download);
        error.Message.ShouldContain("registry cannot be reached");
        Directory.GetDirectories(Path.Combine(_world.Options.CacheDir, "engines")).ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_TruncatedModel_FailedWithAClearError()
    {
        var file = Path.Combine(_world.Folder, "broken.gguf");
        DemoFile.Write(file, Loom.Node.Demo.DemoModel.Sha256);
        using (var stream = File.OpenWrite(file))
        {
            stream.SetLength(stream.Length / 2);
        }

        _world.Start(Llama("file:broken.gguf"));
        await _world.Until(ReplicaState.Failed);
        _world.Replica.LastError!.ShouldContain("broken.gguf");
        _world.Supervisor.Processes.ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_ModelLargerThanFreeMemory_DoesNotStart()
    {
        _world.FreeBytes = 100 << 20;
        _world.Start(Llama("demo"));
        await _world.Until(ReplicaState.Failed);
        _world.Replica.LastError!.ShouldContain("100 MiB are free");
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_FromAServer_FetchedOnceForTwoWhoAskAndRemembered()
    {
        var content = Demo();
        await using var server = await LyingServer.StartAsync(content);
        var pool = Llama($"{server.Root}some/model.gguf#sha256={Checksum.Of(content)}");
        using var first = _world.NewProvisioner();
        using var second = _world.NewProvisioner();
        var both = await Task.WhenAll(first.PrepareAsync(pool, _steps, default), second.PrepareAsync(pool, _steps, default));
        both[0].Model.ShouldBe(both[1].Model);
        both[0].Model!.Id.ShouldBe("model");
        server.Requests.Count.ShouldBe(1);
        ModelRecord.Read(both[0].Model!.Path)!.Verified.ShouldBeTrue();
        _steps.Where(s => s.Step == "model:model").Select(s => s.Status).ShouldContain(StepStatus.Completed);
        using var offline = _world.NewProvisioner(o => o with { Offline = true });
        (await offline.PrepareAsync(pool, _steps, default)).Model!.Path.ShouldBe(both[0].Model!.Path);
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_WithoutChecksum_RefusedUnlessAllowedAndThenMarked()
    {
        await using var server = await LyingServer.StartAsync(Demo());
        var pool = Llama($"{server.Root}model.gguf");
        using var strict = _world.NewProvisioner();
        (await FailAsync(strict, pool)).Exit.ShouldBe(ProvisionExit.Checksum);
        using var lax = _world.NewProvisioner(o => o with { AllowUnverified = true });
        var model = (await lax.PrepareAsync(pool, _steps, default)).Model!;
        model.Verified.ShouldBeFalse();
        ModelRecord.Read(model.Path)!.Verified.ShouldBeFalse();
        (await FailAsync(strict, pool)).Message.ShouldContain("never checked");
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_WrongChecksum_ExitFourAndNoFile()
    {
        await using var server = await LyingServer.StartAsync(Demo());
        using var provisioner = _world.NewProvisioner();
        (await FailAsync(provisioner, Llama($"{server.Root}model.gguf#sha256={new string('a', 64)}"))).Exit.ShouldBe(ProvisionExit.Checksum);
        Directory.EnumerateFiles(_world.Options.ModelsDir, "*.gguf*", SearchOption.AllDirectories).ShouldAllBe(f => f.EndsWith(".lock"));
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_Offline_NeverTouchesTheNetwork()
    {
        await using var server = await LyingServer.StartAsync(Demo());
        using var provisioner = _world.NewProvisioner(o => o with { Offline = true });
        var error = await FailAsync(provisioner, Llama($"{server.Root}model.gguf#sha256={new string('a', 64)}"));
        error.Message.ShouldContain("serving.provisioner.offline");
        server.Requests.ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_HubReference_UsesTheMirrorOfTheEnvironment()
    {
        var content = Demo();
        await using var server = await LyingServer.StartAsync(content);
        _world.Options = _world.Options with { Models = _world.Options.Models.Add("coder",
            new ModelPlan("coder", "hf:org/repo/file.gguf") { Sha256 = Checksum.Of(content), Ctx = 512 }) };
        using var provisioner = _world.NewProvisioner(o => o with { Environment = o.Environment.SetItem("HF_ENDPOINT", server.Root.ToString()) });
        var model = (await provisioner.PrepareAsync(Llama("coder"), _steps, default)).Model!;
        model.Path.ShouldBe(Path.Combine(_world.Options.ModelsDir, "org/repo/file.gguf"));
        (model.Id, model.Ctx).ShouldBe(("coder", 512));
    }

    [Fact(Timeout = 240_000)]
    public async Task Model_HubReferenceWithoutChecksum_IsCheckedAgainstTheHubsOwn()
    {
        var content = Demo();
        await using var server = await LyingServer.StartAsync(content);
        using var provisioner = _world.NewProvisioner(o => o with { Environment = o.Environment.SetItem("HF_ENDPOINT", server.Root.ToString()) });
        (await FailAsync(provisioner, Llama("hf:org/repo/file.gguf"))).Exit.ShouldBe(ProvisionExit.Checksum); // this hub publishes none

        server.Headers["X-Linked-ETag"] = $"\"{Checksum.Of(content)}\"";
        (await provisioner.PrepareAsync(Llama("hf:org/repo/file.gguf"), _steps, default)).Model!.Verified.ShouldBeTrue();

        server.Headers["X-Linked-ETag"] = $"\"{new string('b', 64)}\"";
        (await FailAsync(provisioner, Llama("hf:org/repo/other.gguf"))).Exit.ShouldBe(ProvisionExit.Checksum);
    }

    // An engine that is there on every machine: provisioning does not start it.
    private static PoolPlan Llama(string model) => new() { Id = "chat", Models = [model],
        Engine = new EnginePlan { Name = "cpu", Kind = EngineKinds.LlamaServer, Binary = "/bin/true" } };

    private static byte[] Demo()
    {
        using var stream = new MemoryStream();
        Loom.Node.Demo.DemoModelWriter.Write(stream);
        return stream.ToArray();
    }

    private Task<ProvisionException> FailAsync(Provisioner provisioner, PoolPlan pool) =>
        Should.ThrowAsync<ProvisionException>(provisioner.PrepareAsync(pool, _steps, default));

    private sealed class Steps : ConcurrentQueue<ProvisionProgress>, IProgress<ProvisionProgress>
    {
        public void Report(ProvisionProgress value) => Enqueue(value);
    }
}
