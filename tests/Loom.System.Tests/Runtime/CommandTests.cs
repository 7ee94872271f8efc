using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Loom.Agents.Project;
using Loom.Processes;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The short verbs where something is odd: strange folders, damaged files, wrong words, secrets.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task Chat_RunFolderIsALink_SendsNothing()
    {
        using var api = new FakeApi();
        var folder = RunningLoom.NewFolder("");
        var planted = Directory.CreateDirectory(Path.Combine(folder, "planted")).FullName;
        Directory.CreateDirectory(Path.Combine(folder, ".loom"));
        Directory.CreateSymbolicLink(Path.Combine(folder, ".loom", "run"), planted);
        api.State(folder).Write(Path.Combine(planted, "state.json"));
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["chat", "--json"], [("LLORCH_API_TOKEN", "the-secret-token")], "hello");
        exit.ShouldBe(1, err);
        Code(err).ShouldBe("RUN_DIRECTORY");
        api.Connected.ShouldBeFalse();
        (exit, _, err) = await RunningLoom.RunAsync(folder, ["down", "--json"]);
        exit.ShouldBe(1, err);
        Code(err).ShouldBe("FAILED");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Chat_StateOfADeadRun_SendsNothing()
    {
        using var api = new FakeApi();
        var folder = NewRun();
        var state = api.State(folder);
        (state with { Supervisor = state.Supervisor with { StartTicks = 1 } }).Write(RunDirectory.Of(folder).State);
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["chat", "--json"], [("LLORCH_API_TOKEN", "the-secret-token")], "hello");
        exit.ShouldBe(3, err);
        api.Connected.ShouldBeFalse();
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Chat_DamagedState_NamesTheWayOut()
    {
        var folder = NewRun();
        await File.WriteAllTextAsync(RunDirectory.Of(folder).State, "{ \"schema\": 99", TestContext.Current.CancellationToken);
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["chat"], input: "hello");
        exit.ShouldBe(7, err);
        err.ShouldContain("fix: loom down");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Chat_WaitingForStdin_EndsOnCtrlCAndUsedTheRunsToken()
    {
        using var api = new FakeApi();
        var folder = NewRun();
        var token = RunDirectory.Of(folder).CreateToken();
        api.State(folder).Write(RunDirectory.Of(folder).State);
        var info = new ProcessStartInfo(RunningLoom.Program, ["chat"])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        info.Environment["LLORCH_API_TOKEN"] = "the-secret-token";
        using var chat = Process.Start(info)!;
        var request = await api.AnswerModelsAsync().WaitAsync(RunningLoom.Deadline, TestContext.Current.CancellationToken);
        request.ShouldContain(token);
        request.ShouldNotContain("the-secret-token");
        Signals.Send(chat.Id, Signals.Int);
        await chat.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(RunningLoom.Deadline, TestContext.Current.CancellationToken);
        chat.ExitCode.ShouldBe(130);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Chat_EmptyStdin_IsAUsageError()
    {
        using var api = new FakeApi();
        var folder = NewRun();
        api.State(folder).Write(RunDirectory.Of(folder).State);
        var answered = api.AnswerModelsAsync();
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["chat", "--json"], input: "\n");
        await answered;
        exit.ShouldBe(2, err);
        Code(err).ShouldBe("NO_MESSAGE");
        TempFolder.Delete(folder);
    }

    [Theory]
    [InlineData("USAGE", "status", "--json", "--bogus")]
    [InlineData("USAGE", "logs", "--json", "-n", "-5")]
    [InlineData("USAGE", "logs", "--json", "--since", "")]
    public async Task Json_WrongWords_AreTheErrorObject(string code, params string[] arguments)
    {
        var folder = RunningLoom.NewFolder("");
        var (exit, _, err) = await RunningLoom.RunAsync(folder, arguments);
        exit.ShouldBe(2, err);
        Code(err).ShouldBe(code);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Logs_Grep_SearchesEverythingInTheConfiguredFolder()
    {
        var folder = RunningLoom.NewFolder("[runtime]\nlogs_dir = \"output\"\n");
        var logs = Directory.CreateDirectory(Path.Combine(folder, "output")).FullName;
        await WriteAsync(logs, "a.log.1", ["2026-01-01T00:00:00.000Z needle 1"]);
        await WriteAsync(logs, "a.log", ["2026-01-01T00:00:01.000Z needle 2", .. Enumerable.Range(0, 500).Select(i => $"2026-01-01T00:00:02.000Z hay {i}")]);
        var (exit, found, err) = await RunningLoom.RunAsync(folder, ["logs", "--raw", "--grep", "needle"]);
        exit.ShouldBe(0, err);
        found.ShouldBe("needle 1\nneedle 2\n");
        (await RunningLoom.RunAsync(folder, ["logs", "--raw", "--grep", "needle", "-n", "1"])).Out.ShouldBe("needle 2\n");
        (await RunningLoom.RunAsync(folder, ["logs", "--raw"])).Out.Split('\n').Length.ShouldBe(101);
        (await RunningLoom.RunAsync(folder, ["logs", "--raw", "-n", "600"])).Out.ShouldStartWith("needle 1\nneedle 2\nhay 0\n");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Up_SecretInEngineArguments_IsInNoLogAndNoState()
    {
        var toml = MockProject.Toml("--tokens-per-second", "${RATE_KEY}");
        await using var loom = await RunningLoom.UpAsync(toml, ("RATE_KEY", "0000000200"));
        var files = Directory.GetFiles(Path.Combine(loom.Folder, ".loom"), "*", SearchOption.AllDirectories).Where(f => f.EndsWith(".log", StringComparison.Ordinal) || f.EndsWith(".json", StringComparison.Ordinal)).ToList();
        var texts = files.ToDictionary(f => Path.GetFileName(f), File.ReadAllText);
        texts.Where(t => t.Value.Contains("0000000200", StringComparison.Ordinal)).Select(t => t.Key).ShouldBeEmpty();
        texts["loom.log"].ShouldContain("[redacted:RATE_KEY]");
        texts["config.json"].ShouldContain("[redacted:RATE_KEY]");
    }

    private static string NewRun()
    {
        var folder = RunningLoom.NewFolder("");
        _ = RunDirectory.Prepare(folder);
        return folder;
    }

    private static Task WriteAsync(string folder, string name, IEnumerable<string> lines) =>
        File.WriteAllLinesAsync(Path.Combine(folder, name), lines, TestContext.Current.CancellationToken);

    private static string? Code(string err) =>
        JsonDocument.Parse(err.Trim().Split('\n')[^1]).RootElement.GetProperty("error").GetProperty("code").GetString();

    /// <summary>An address that says whether somebody came, and answers one request for models.</summary>
    private sealed class FakeApi : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public FakeApi() => _listener.Start();

        public bool Connected => _listener.Pending();

        /// <summary>The state of a run that is alive as long as this test is.</summary>
        public RunState State(string folder)
        {
            var self = ProcessIdentities.Self();
            var state = new RunState
            {
                RunId = "r",
                BootId = RunState.CurrentBoot(),
                Mode = "full",
                StartedAt = DateTimeOffset.UtcNow,
                LoomVersion = "0",
                Supervisor = new ProcessRef(self.Pid, self.StartTicks),
                Socket = RunDirectory.Of(folder).Socket,
            };
            return state with { Addresses = state.Addresses.Add("api", $"http://{_listener.LocalEndpoint}") };
        }

        /// <summary>Answers with one model.</summary>
        /// <returns>The request as it came.</returns>
        public async Task<string> AnswerModelsAsync()
        {
            using var client = await _listener.AcceptTcpClientAsync();
            var stream = client.GetStream();
            var request = new StringBuilder();
            var buffer = new byte[4096];
            while (!request.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                request.Append(Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer)));
            }

            const string Body = """{"object":"list","data":[{"id":"demo","object":"model"}]}""";
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\nConnection: close\r\n\r\n{Body}"));
            return request.ToString();
        }

        public void Dispose() => _listener.Dispose();
    }
}
