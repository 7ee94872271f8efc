using Loom.Node.Demo;
using Loom.Node.Provisioning;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Handoff;

/// <summary>Each exit code of <c>loom engine-provisioner</c>, provoked.</summary>
public sealed class ProvisionerExitTests : IDisposable
{
    private const string Mock = "[serving.engines.e]\nkind = \"mock\"\n[serving.pools.chat]\nengine = \"e\"\nmodels = [\"m\"]\n";

    // A program that exists stands for llama-server: it is found, not run.
    private const string Llama = "[serving.engines.e]\nkind = \"llama-server\"\nbinary = \"/bin/true\"\n[serving.pools.chat]\nengine = \"e\"\n";

    private readonly List<string> _folders = [];

    public void Dispose()
    {
        foreach (var folder in _folders)
        {
            TempFolder.Delete(folder);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Done_Is0_AndWritesAFileForTheAgent()
    {
        var folder = Project(Llama + "models = [\"demo\"]\n", demo: true);
        var (exit, _, errors) = await RunAsync(folder);

        exit.ShouldBe(0, errors);
        var file = Path.Combine(folder, ".runtime", "engines", "chat-r0.json");
        File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var text = await File.ReadAllTextAsync(file);
        text.ShouldContain("\"state\":\"prepared\"");
        text.ShouldContain("\"binary_path\":\"/bin/true\"");
        text.ShouldContain(DemoModel.Sha256);
        Directory.GetFiles(Path.Combine(folder, ".runtime", "engines"), ".*").ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
    public Task Configuration_Is2() => ExitsAsync(2, "UNKNOWN_POOL", Project(Mock), "--pool", "other");

    [Fact(Timeout = 300_000)]
    public Task NotFound_Is3() => ExitsAsync(3, "no/llama-server", Project(Llama.Replace("/bin/true", "/no/llama-server", StringComparison.Ordinal)));

    [Fact(Timeout = 300_000)]
    public Task Checksum_Is4() =>
        ExitsAsync(4, "SHA-256", Project(Llama + $"models = [\"own\"]\n[models.own]\nsource = \"file:demo.gguf\"\nsha256 = \"{new string('0', 64)}\"\n", demo: true));

    [Fact(Timeout = 300_000)]
    public Task Download_Is5() =>
        ExitsAsync(5, "127.0.0.1:9", Project(Llama + $"models = [\"far\"]\n[models.far]\nsource = \"https://127.0.0.1:9/m.gguf\"\nsha256 = \"{new string('0', 64)}\"\n"));

    [Fact(Timeout = 300_000)]
    public Task Offline_NothingCached_Is5() =>
        ExitsAsync(5, "offline", Project(Llama + $"models = [\"far\"]\n[models.far]\nsource = \"https://127.0.0.1:9/m.gguf\"\nsha256 = \"{new string('0', 64)}\"\n"), "--offline");

    [Fact(Timeout = 300_000)]
    public async Task FolderThatCannotBeWritten_Is6_AndLeavesNothing()
    {
        var folder = Project(Mock);
        await File.WriteAllTextAsync(Path.Combine(folder, ".runtime"), "a file");

        await ExitsAsync(6, "cannot be written", folder);
        Directory.GetFiles(folder, ".*.tmp", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
    public async Task BadModel_Is7()
    {
        var folder = Project(Llama + "models = [\"file:bad.gguf\"]\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "bad.gguf"), "no model at all");

        await ExitsAsync(7, "bad", folder);
    }

    [Fact(Timeout = 300_000)]
    public Task GpuMask_Is8() => ExitsAsync(8, "no GPU 63 on this machine; devices present:", Project(Mock + "[serving.provisioner]\ngpu_mask = [\"63\"]\n"));

    [Fact(Timeout = 300_000)]
    public Task DoesNotFit_Is9() => ExitsAsync(9, "are free", Project(Llama + "models = [\"demo\"]\nctx = 10000000\nslots = 256\n", demo: true));

    [Fact(Timeout = 300_000)]
    public Task NobodyTakesItOver_Is10() =>
        ExitsAsync(10, "start loom up", Project(Mock.Replace("\"mock\"\n", "\"mock\"\nready_timeout_secs = 1\n", StringComparison.Ordinal)), "--wait");

    [Fact(Timeout = 300_000)]
    public async Task Start_UnknownGpu_Is2AndListsWhatIsPresent()
    {
        var (exit, _, errors) = await RunningLoom.RunAsync(Project(Mock), ["up", "--no-input"], [("ENGINE_PROVISIONER_GPU_MASK", "63")]);

        exit.ShouldBe(2, errors);
        errors.ShouldContain("no GPU 63 on this machine; devices present:");
    }

    private string Project(string toml, bool demo = false)
    {
        // The models folder lies in the project, so that nothing of this machine is found.
        var folder = RunningLoom.NewFolder($"{toml}\n[paths]\nmodels_dir = \"models\"\n");
        _folders.Add(folder);
        if (demo)
        {
            DemoFile.Write(Path.Combine(folder, "demo.gguf"), DemoModel.Sha256);
        }

        return folder;
    }

    private static Task<(int Exit, string Out, string Err)> RunAsync(string folder, params string[] arguments) =>
        RunningLoom.RunAsync(folder, ["engine-provisioner", "--json", .. arguments], [("ENGINE_PROVISIONER_CACHE_DIR", Path.Combine(folder, "cache")), ("PATH", "/usr/bin:/bin")]);

    private static async Task ExitsAsync(int code, string words, string folder, params string[] arguments)
    {
        var (exit, lines, errors) = await RunAsync(folder, arguments);

        exit.ShouldBe(code, $"{lines}\n{errors}");
        errors.ShouldContain(words);
    }
}
