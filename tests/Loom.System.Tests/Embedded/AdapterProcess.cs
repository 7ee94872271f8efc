using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Testing;

namespace Loom.SystemTests.Embedded;

/// <summary>A running adapter on a free port of its own.</summary>
internal sealed class AdapterProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource<Uri> _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private AdapterProcess(Process process)
    {
        _process = process;
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _listening.TrySetException(new InvalidOperationException("the adapter ended before it listened"));
        process.ErrorDataReceived += (_, line) => Locked(() => _errors.AppendLine(line.Data));
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data?.Split("listening on ") is ["", var url])
            {
                _listening.TrySetResult(new Uri(url));
            }
        };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
    }

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromMinutes(1) };

    public string Errors => Locked(_errors.ToString);

    public static async Task<AdapterProcess> StartAsync(string model, params string[] options)
    {
        var folder = await AdapterFolder.GetAsync();
        var start = new ProcessStartInfo("node", ["server.js", "--model", model, "--port", "0", "--id", "demo", .. options])
        {
            WorkingDirectory = folder,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        return new AdapterProcess(Process.Start(start)!);
    }

    /// <summary>Starts one and waits until it is healthy.</summary>
    public static async Task<AdapterProcess> StartReadyAsync(string model, params string[] options)
    {
        var adapter = await StartAsync(model, options);
        await adapter.ListeningAsync();
        await Deadline.Until(() => adapter.IsHealthyAsync().GetAwaiter().GetResult(), "the adapter is healthy", TimeSpan.FromSeconds(60));
        return adapter;
    }

    public async Task ListeningAsync() => Http.BaseAddress = await _listening.Task.WaitAsync(TimeSpan.FromSeconds(120));

    /// <summary>Waits for the end of the process by itself.</summary>
    /// <returns>Exit code.</returns>
    public async Task<int> ExitAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _process.WaitForExitAsync(deadline.Token);
        return _process.ExitCode;
    }

    public async Task TerminateAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public async Task<JsonNode> GetAsync(string path) => JsonNode.Parse(await Http.GetStringAsync(path))!;

    public async Task<(int Status, JsonNode Body)> PostAsync(string path, object body)
    {
        using var answer = await Http.PostAsync(path, Json(body));
        return ((int)answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!);
    }

    /// <summary>Sends a streaming request and returns the answer once its head is there.</summary>
    public async Task<HttpResponseMessage> OpenStreamAsync(string path, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Json(body) };
        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>The data of all events of a stream.</summary>
    public async Task<List<string>> StreamAsync(string path, object body)
    {
        using var answer = await OpenStreamAsync(path, body);
        var text = await answer.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e["data: ".Length..])];
    }

    /// <summary>One of the engine's counters.</summary>
    public async Task<double> MetricAsync(string name)
    {
        var text = await Http.GetStringAsync("/metrics");
        var line = text.Split('\n').Single(l => l.StartsWith($"llamacpp:{name} ", StringComparison.Ordinal));
        return double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private static StringContent Json(object body) => new(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");

    private async Task<bool> IsHealthyAsync()
    {
        using var answer = await Http.GetAsync("/health");
        return answer.IsSuccessStatusCode;
    }

    private T Locked<T>(Func<T> action)
    {
        lock (_errors)
        {
            return action();
        }
    }
}
