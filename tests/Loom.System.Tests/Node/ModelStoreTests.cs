using Loom.Core.Binaries;
using Loom.Node.Demo;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Node;

public sealed class ModelStoreTests : IAsyncLifetime
{
    private readonly NodeWorld _world = new();
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _world.DisposeAsync();
    }

    [Fact(Timeout = 240_000)]
    public async Task Demo_Twice_IsWrittenOnceAndListed()
    {
        var store = Store();
        var first = await store.DemoAsync(null, new Nobody(), default);
        var written = File.GetLastWriteTimeUtc(first.Path!);
        (await store.DemoAsync(null, new Nobody(), default)).Sha256.ShouldBe(DemoModel.Sha256);
        File.GetLastWriteTimeUtc(first.Path!).ShouldBe(written);
        var listed = store.List().ShouldHaveSingleItem();
        (listed.Id, listed.Verified, listed.Ctx).ShouldBe(("demo", true, 2048));
    }

    [Fact(Timeout = 240_000)]
    public async Task Verify_ChangedFile_ShowsBothChecksums()
    {
        var store = Store();
        var demo = await store.DemoAsync(null, new Nobody(), default);
        (await store.VerifyAsync("demo", default)).Ok.ShouldBeTrue();
        using (var file = File.OpenWrite(demo.Path!))
        {
            file.Seek(-1, SeekOrigin.End);
            file.WriteByte(0x5a);
        }

        var result = await store.VerifyAsync("demo", default);
        result.Ok.ShouldBeFalse();
        result.Expected.ShouldBe(DemoModel.Sha256);
    }

    [Fact(Timeout = 240_000)]
    public async Task Remove_OnlyWhatLoomFetched()
    {
        var own = Path.Combine(_world.Folder, "own.gguf");
        DemoFile.Write(own, DemoModel.Sha256);
        _world.Options = _world.Options with { Models = _world.Options.Models.Add("mine", new ModelPlan("mine", "file:own.gguf")) };
        var store = Store();
        await store.DemoAsync(null, new Nobody(), default);
        store.List().Select(m => m.Id).ShouldBe(["demo", "mine"]);
        (await Should.ThrowAsync<ProvisionException>(store.RemoveAsync("mine", TimeProvider.System, default))).Message.ShouldContain("your own file");
        await store.RemoveAsync("demo", TimeProvider.System, default);
        store.List().Select(m => m.Id).ShouldBe(["mine"]);
        (await Should.ThrowAsync<ProvisionException>(store.VerifyAsync("demo", default))).Exit.ShouldBe(ProvisionExit.NotFound);
    }

    [Fact(Timeout = 240_000)]
    public async Task Pull_FileThatIsNoModel_ExitSeven()
    {
        await File.WriteAllTextAsync(Path.Combine(_world.Folder, "text.gguf"), "not a model at all, just words that are long enough");
        (await Should.ThrowAsync<ProvisionException>(Store().PullAsync("file:text.gguf", new Nobody(), default))).Exit.ShouldBe(ProvisionExit.BadModel);
    }

    private ModelStore Store()
    {
        var transfer = new Transfer(_http, new TransferDisk(), TimeProvider.System, new Random(1));
        return new ModelStore(_world.Options, new ModelFetcher(_world.Options.ModelsDir, false, false, transfer, TimeProvider.System));
    }

    private sealed class Nobody : IProgress<ProvisionProgress>
    {
        public void Report(ProvisionProgress value)
        {
        }
    }
}
