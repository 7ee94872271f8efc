using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Testing;

namespace Loom.SystemTests.Harness.Signals;

/// <summary><c>loom harness run</c> of a system written by the test, and its API.</summary>
internal sealed class RunningSystem : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _err = [];
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = RunningLoom.Deadline };
    private Process _process = null!;

    private RunningSystem(TempFolder folder, string name) => (Folder, Name) = (folder, name);

    public TempFolder Folder { get; }

    public string Name { get; }

    public Uri Address { get; private set; } = null!;

    public string Token { get; private set; } = "";

    public string Err => string.Join('\n', _err);

    public int ErrLines => _err.Count;

    /// <summary>Starts it and waits until it is ready.</summary>
    /// <param name="architecture">Text of architecture.yaml.</param>
    /// <param name="prepare">Puts files into its folder.</param>
    /// <param name="environment">Variables of the process.</param>
    public static async Task<RunningSystem> StartAsync(string architecture, Action<TempFolder>? prepare = null, params (string Name, string Value)[] environment)
    {
        var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["architecture.yaml"], architecture);
        prepare?.Invoke(folder);
        var name = architecture.Split("name: ")[1].Split([',', ' '])[0];
        var system = new RunningSystem(folder, name);
        await system.LaunchAsync(environment);
        return system;
    }

    /// <summary>Starts it again after it was killed or has ended.</summary>
    public async Task LaunchAsync(params (string Name, string Value)[] environment)
    {
        var run = Folder[$".loom/harness/{Name}/run.json"];
        File.Delete(run.Length > 0 && File.Exists(run) ? run : Folder["none"]);
        var start = new ProcessStartInfo(RunningLoom.Program, ["harness", "run", ".", "--unlocked", "--port", "0"])
        {
            WorkingDirectory = Folder.Path,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null)
            {
                _err.Enqueue(line.Data);
            }
        };
        _process.OutputDataReceived += static (_, _) => { };
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        await Deadline.Until(() => _process.HasExited || File.Exists(run), "the system listens", RunningLoom.Deadline);
        if (_process.HasExited)
        {
            throw new InvalidOperationException($"the system ended with {_process.ExitCode}:\n{Err}");
        }

        using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(run));
        Address = new Uri(document.RootElement.GetProperty("address").GetString()!);
        Token = document.RootElement.GetProperty("token").GetString()!;
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        await UntilAsync(async () => (await _http.GetAsync(new Uri(Address, "/health/live"))).IsSuccessStatusCode, "it answers");
    }

    /// <summary>A route below the system's own.</summary>
    public async Task<JsonElement> GetAsync(string route) => JsonElement.Parse(await _http.GetStringAsync(new Uri(Address, $"/v2/harness/systems/{Name}{route}")));

    public Task<string> MetricsAsync() => _http.GetStringAsync(new Uri(Address, "/metrics"));

    public Task<(HttpStatusCode Status, string Body)> PostAsync(string path, string? body = null, CancellationToken ct = default) => SendAsync(HttpMethod.Post, path, body, ct);

    public async Task<(HttpStatusCode Status, string Body)> SendAsync(HttpMethod method, string path, string? body = null, CancellationToken ct = default)
    {
        using var request = new HttpRequestMessage(method, new Uri(Address, path)) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        using var answer = await _http.SendAsync(request, ct);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(ct));
    }

    /// <summary>Asks for a change of the system.</summary>
    public Task<(HttpStatusCode Status, string Body)> AskAsync(string route, string? body = null, CancellationToken ct = default) => PostAsync($"/v2/harness/systems/{Name}{route}", body, ct);

    /// <summary>Types <c>loom harness VERB ...</c> in its folder.</summary>
    public Task<(int Exit, string Out, string Err)> TypeAsync(params string[] arguments) => RunningLoom.RunAsync(Folder.Path, ["harness", .. arguments]);

    public static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        var until = Stopwatch.StartNew();
        while (!await condition())
        {
            if (until.Elapsed > RunningLoom.Deadline)
            {
                throw new TimeoutException($"it never came about that {what}");
            }

            await Task.Delay(20);
        }
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
    }

    /// <summary>Drains it and waits for its end.</summary>
    public async Task<int> DrainAsync()
    {
        await AskAsync("/drain");
        await _process.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _http.Dispose();
        Folder.Dispose();
    }
}
