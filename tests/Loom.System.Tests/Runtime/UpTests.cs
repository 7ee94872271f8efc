using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The whole program as its user sees it: up, down, status, and what happens when it is killed.</summary>
public sealed class UpTests
{
    private static readonly HttpClient s_http = new() { Timeout = RunningLoom.Deadline };

    [Fact]
    public async Task Up_ThenTerm_ExitsZeroAndLeavesNothing()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        loom.Survivors().Count.ShouldBeGreaterThan(0);
        (await loom.StopAsync()).ShouldBe(0, loom.Err);
        loom.Survivors().ShouldBeEmpty();
        File.Exists(Path.Combine(loom.Folder, ".loom", "run", "state.json")).ShouldBeFalse();
    }

    [Fact]
    public async Task Up_CtrlC_Exits130()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        (await loom.StopAsync(Signals.Int)).ShouldBe(130, loom.Err);
        loom.Survivors().ShouldBeEmpty();
    }

    [Fact]
    public async Task Killed_TwentyRounds_NoSurvivorAndTheNextUpWorks()
    {
        var rounds = int.Parse(Environment.GetEnvironmentVariable("LOOM_KILL_ROUNDS") ?? "20");
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var survivors = 0;
        for (var round = 0; round < rounds; round++)
        {
            var loom = RunningLoom.Launch(folder);
            await loom.WaitReadyAsync();
            var request = s_http.GetAsync(new Uri(loom.Api, "/v1/models"), TestContext.Current.CancellationToken);
            await loom.KillAsync();
            await ((Task)request).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            survivors += await SurvivorsAfterAsync(loom, TimeSpan.FromSeconds(90));
        }

        survivors.ShouldBe(0);
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["down"]);
        exit.ShouldBe(0, err);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Up_PortTaken_NamesPortSettingAndHolder()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["up", "--no-input"], [("ORCHESTRATORD_BIND_ADDR", $"127.0.0.1:{port}")]);
        exit.ShouldBe(2);
        err.ShouldContain($"port {port} (serving.bind, ORCHESTRATORD_BIND_ADDR) is in use by pid {Environment.ProcessId}");
        Directory.Exists(Path.Combine(folder, ".loom", "run")).ShouldBeTrue();
        File.Exists(Path.Combine(folder, ".loom", "run", "state.json")).ShouldBeFalse();
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Up_Second_SaysWhereTheFirstIs()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        var (exit, output, _) = await RunningLoom.RunAsync(loom.Folder, ["up", "--json", "--no-input"]);
        exit.ShouldBe(0);
        JsonDocument.Parse(output).RootElement.GetProperty("run_id").GetString().ShouldBe(loom.RunId);
    }

    [Fact]
    public async Task Detach_StatusChatDown_WalkTogether()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var (up, ready, upErr) = await RunningLoom.RunAsync(folder, ["up", "-d", "--json"]);
        up.ShouldBe(0, upErr);
        JsonDocument.Parse(ready).RootElement.GetProperty("addresses").GetProperty("api").GetString().ShouldStartWith("http://127.0.0.1:");
        var (status, document, _) = await RunningLoom.RunAsync(folder, ["status", "--json"]);
        status.ShouldBe(0);
        JsonDocument.Parse(document).RootElement.GetProperty("processes")[0].GetProperty("state").GetString().ShouldBe("ready");
        var (chat, answer, chatErr) = await RunningLoom.RunAsync(folder, ["chat", "--max-tokens", "3"], input: "the weaver");
        chat.ShouldBe(0, chatErr);
        answer.Trim().Split(' ').Length.ShouldBe(3);
        var (logs, lines, _) = await RunningLoom.RunAsync(folder, ["logs", "--json"]);
        logs.ShouldBe(0);
        lines.Trim().Split('\n').ShouldAllBe(l => JsonDocument.Parse(l, default).RootElement.GetProperty("name").GetString()!.Length > 0);
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        (await RunningLoom.RunAsync(folder, ["status"])).Exit.ShouldBe(3);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Detach_ThatCannotStart_GivesTheReasonAndTheForegroundsCode()
    {
        var folder = RunningLoom.NewFolder("[serving.pools.default]\nslots = 0\n");
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["up", "-d"]);
        exit.ShouldBe(2);
        err.ShouldContain("serving.pools.default.slots");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Down_BrokenProjectFile_StillStops()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        await File.WriteAllTextAsync(Path.Combine(loom.Folder, "loom.toml"), "this is = not [toml", TestContext.Current.CancellationToken);
        (await RunningLoom.RunAsync(loom.Folder, ["down"])).Exit.ShouldBe(0);
        loom.Survivors().ShouldBeEmpty();
    }

    [Fact]
    public async Task Up_NoNode_SaysWhatIsMissingAndEnds()
    {
        var folder = RunningLoom.NewFolder("[serving.pools.default]\n");
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["up", "--no-input"], [("PATH", "/nonexistent"), ("DOTNET_ROOT", DotnetRoot())]);
        exit.ShouldBe(1, err);
        err.ShouldContain("engine \"embedded\" needs Node 20 or newer (found: none)");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Token_OfAFullRun_AppearsInNoFileButItsOwn()
    {
        const string Token = "a-secret-token-that-nobody-should-ever-see-1234";
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml(), ("LLORCH_API_TOKEN", Token), ("RUST_LOG", "trace"));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(loom.Api, "/v1/chat/completions"))
        {
            Content = new StringContent("""{"model":"demo","max_tokens":2,"messages":[{"role":"user","content":"hi"}]}""", Encoding.UTF8, "application/json"),
        };
        (await s_http.SendAsync(Copy(request, null), TestContext.Current.CancellationToken)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await s_http.SendAsync(Copy(request, "wrong"), TestContext.Current.CancellationToken)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await s_http.SendAsync(Copy(request, Token), TestContext.Current.CancellationToken)).StatusCode.ShouldBe(HttpStatusCode.OK);
        var run = loom.Token;
        await loom.StopAsync();
        foreach (var file in Directory.GetFiles(loom.Folder, "*", SearchOption.AllDirectories))
        {
            var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
            text.ShouldNotContain(Token, customMessage: file);
            text.ShouldNotContain(run, customMessage: file);
        }

        loom.Err.ShouldNotContain(Token);
    }

    private static HttpRequestMessage Copy(HttpRequestMessage request, string? token)
    {
        var copy = new HttpRequestMessage(request.Method, request.RequestUri) { Content = request.Content };
        copy.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return copy;
    }

    private static string DotnetRoot() => Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    // Waits for the observed end of the guardian's work; what is left at the deadline survived.
    private static async Task<int> SurvivorsAfterAsync(RunningLoom loom, TimeSpan deadline)
    {
        using var limit = new CancellationTokenSource(deadline);
        while (loom.Survivors().Count > 0 && !limit.IsCancellationRequested)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        return loom.Survivors().Count;
    }
}
