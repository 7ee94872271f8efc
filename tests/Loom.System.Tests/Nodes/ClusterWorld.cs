using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Testing;
using Loom.Wire;

namespace Loom.SystemTests.Nodes;

/// <summary>One part of a cluster as its own process, with its own folder.</summary>
internal sealed class ClusterPart : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(180);

    private readonly Process _process;
    private bool _disposed;
    private readonly ConcurrentQueue<string> _log = new();
    private readonly TaskCompletionSource<JsonElement> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ClusterPart(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => OnLine(line.Data);
        process.ErrorDataReceived += (_, line) => _log.Enqueue(line.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Pid => _process.Id;

    /// <summary>All it has written to stderr.</summary>
    public string Log => string.Join('\n', _log);

    public string RunId { get; private set; } = "";

    /// <summary>Its addresses, once ready.</summary>
    public IReadOnlyDictionary<string, string> Addresses { get; private set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public static async Task<ClusterPart> StartAsync(string folder, string[] arguments, params (string Name, string Value)[] environment)
    {
        var info = new ProcessStartInfo(RunningLoom.Program) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments.Append("--json"))
        {
            info.ArgumentList.Add(argument);
        }

        info.Environment["PROMETHEUS_METRICS_PORT"] = "0";
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        var part = new ClusterPart(Process.Start(info)!);
        var exited = part._process.WaitForExitAsync();
        if (await Task.WhenAny(part._ready.Task, exited).WaitAsync(s_patience).ConfigureAwait(false) == exited)
        {
            throw new InvalidOperationException($"{string.Join(' ', arguments)} ended with {part._process.ExitCode}:\n{part.Log}");
        }

        var document = await part._ready.Task.ConfigureAwait(false);
        part.RunId = document.GetProperty("run_id").GetString()!;
        part.Addresses = document.GetProperty("addresses").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!, StringComparer.Ordinal);
        return part;
    }

    public void Signal(int signal) => Signals.Send(Pid, signal);

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(s_patience).ConfigureAwait(false);
    }

    /// <summary>Asks it to stop and waits for its end.</summary>
    public async Task<int> StopAsync()
    {
        if (!_process.HasExited)
        {
            Signal(18); // CONT: one that is stopped hears nothing else
            Signal(Signals.Term);
            await _process.WaitForExitAsync().WaitAsync(s_patience).ConfigureAwait(false);
        }

        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        try
        {
            await StopAsync().ConfigureAwait(false);
        }
        finally
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }
    }

    private void OnLine(string? line)
    {
        if (line is not null && line.StartsWith('{'))
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.TryGetProperty("addresses", out _))
            {
                _ready.TrySetResult(document.RootElement.Clone());
            }
        }
    }
}

/// <summary>A control plane and its nodes on this machine, each a process with a folder of its own.</summary>
internal sealed class ClusterWorld : IAsyncDisposable
{
    public const string Token = "a-token-of-the-cluster-0123456789abcdef";

    private readonly TempFolder _folder = new();
    private readonly List<ClusterPart> _parts = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(120) };
    private readonly int _port = FreePorts.Next(); // a restart comes back at the same address

    public ClusterPart Control { get; private set; } = null!;

    public Uri Api => new(Control.Addresses["api"]);

    /// <summary>Settings file of the control plane.</summary>
    public string ControlToml { get; init; } = "";

    /// <summary>A node's timeout, milliseconds, and the interval of the check, seconds: the shortest there are.</summary>
    public int TimeoutMs { get; init; } = 15_000;

    public async Task StartControlAsync(params (string Name, string Value)[] environment)
    {
        var folder = Folder("control");
        await File.WriteAllTextAsync(Path.Combine(folder, "loom.toml"), ControlToml).ConfigureAwait(false);
        Control = await ClusterPart.StartAsync(
            folder,
            ["queen-rbee"],
            [
                ("ORCHESTRATORD_CLOUD_PROFILE", "true"), ("LLORCH_API_TOKEN", Token), ("ORCHESTRATORD_BIND_ADDR", $"127.0.0.1:{_port}"),
                ("ORCHESTRATORD_NODE_TIMEOUT_MS", $"{TimeoutMs}"), ("ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", "1"), .. environment,
            ]).ConfigureAwait(false);
        _parts.Add(Control);
    }

    public async Task<ClusterPart> StartNodeAsync(string id, string? toml = null, string token = Token, string bind = "127.0.0.1:0")
    {
        var folder = Folder(id);
        await File.WriteAllTextAsync(Path.Combine(folder, "loom.toml"), toml ?? Mock(2)).ConfigureAwait(false);
        var node = await ClusterPart.StartAsync(
            folder,
            ["pool-managerd"],
            ("ORCHESTRATORD_URL", Api.GetLeftPart(UriPartial.Authority)), ("POOL_MANAGERD_NODE_ID", id), ("LLORCH_API_TOKEN", token), ("POOL_MANAGERD_BIND_ADDR", bind),
            ("POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "1"), ("POOL_MANAGERD_ENGINE_PORTS", $"{Ports()}")).ConfigureAwait(false);
        _parts.Add(node);
        return node;
    }

    public static string Mock(int slots, string arguments = "") => $"""
        [serving.engines.m]
        kind = "mock"
        args = [{arguments}]
        [serving.pools.default]
        engine = "m"
        models = ["demo"]
        slots = {slots}
        """;

    public async Task<NodeView?> NodeAsync(string id)
    {
        using var answer = await AskAsync(HttpMethod.Get, Api, $"/v2/nodes/{id}").ConfigureAwait(false);
        return answer.StatusCode == HttpStatusCode.NotFound ? null
            : JsonSerializer.Deserialize(await answer.Content.ReadAsStringAsync().ConfigureAwait(false), NodeViewJson.Default.NodeView);
    }

    public async Task UntilAsync(string id, string state, bool ready = false)
    {
        await WaitAsync(async () => await NodeAsync(id).ConfigureAwait(false) is { } node && node.State == state && (!ready || node.Pools.Any(p => p.Ready)), $"{id} is {state}")
            .ConfigureAwait(false);
    }

    public async Task<HttpResponseMessage> AskAsync(HttpMethod method, Uri address, string path, string? body = null, string token = Token, CancellationToken cancel = default)
    {
        using var request = new HttpRequestMessage(method, new Uri(address, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
    }

    public Task<HttpResponseMessage> ChatAsync(bool stream, int tokens, CancellationToken cancel = default) => AskAsync(
        HttpMethod.Post, Api, "/v1/chat/completions",
        $$"""{"model":"demo","stream":{{(stream ? "true" : "false")}},"max_tokens":{{tokens}},"messages":[{"role":"user","content":"hi"}]}""", cancel: cancel);

    public static async Task WaitAsync(Func<Task<bool>> condition, string what)
    {
        var end = TimeProvider.System.GetTimestamp();
        while (!await condition().ConfigureAwait(false))
        {
            if (TimeProvider.System.GetElapsedTime(end) > TimeSpan.FromSeconds(120))
            {
                throw new TimeoutException($"not within 120 s: {what}");
            }

            await Task.Delay(50).ConfigureAwait(false);
        }
    }

    /// <summary>Processes of a run that are alive.</summary>
    public static IReadOnlyList<string> Survivors(string runId) => RunningLoom.ProcessesOf(runId);

    public async ValueTask DisposeAsync()
    {
        foreach (var part in _parts.AsEnumerable().Reverse())
        {
            await part.DisposeAsync().ConfigureAwait(false);
        }

        _http.Dispose();
        _folder.Dispose();
    }

    private string Folder(string name) => Directory.CreateDirectory(_folder[name]).FullName;

    // Two agents on one machine must not take engine ports from each other.
    private static string Ports()
    {
        var first = FreePorts.Range(20);
        return $"{first}-{first + 19}";
    }
}
