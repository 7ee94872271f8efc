using System.Net;
using System.Security.Cryptography;
using Loom.Core.Settings;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>
/// The examples of the configuration reference (seeds/001) as processes. Only what cannot be the same twice on one machine is replaced: ports, host names
/// and folders under /var; a project file says which engine and which GPUs there are, since the examples do not.
/// </summary>
public sealed class SeedExampleTests : IAsyncDisposable
{
    private const string Collector = "http://tempo:4317";
    private const string Project = """
        [gpus]
        source = "mock"
        [serving.engines.m]
        kind = "mock"
        [serving.pools.default]
        engine = "m"
        models = ["demo"]
        """;

    private readonly string _token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)); // openssl rand -hex 32
    private readonly TempFolder _folder = new();
    private readonly List<ClusterPart> _parts = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(60) };

    public async ValueTask DisposeAsync()
    {
        foreach (var part in _parts.AsEnumerable().Reverse())
        {
            await part.DisposeAsync();
        }

        _http.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = 300_000)]
    public async Task Home_ThreePartsAlone_EachStarts()
    {
        var folder = Folder("home");
        var queen = await StartAsync(folder, "queen-rbee", ("ORCHD_ADDR", "127.0.0.1:0"), ("ORCHD_RUNTIME_DIR", ".runtime/engines"), ("ORCHD_ADMISSION_CAPACITY", "100"), ("RUST_LOG", "info"));
        (await TextAsync(queen, "api", "/v2/meta/capabilities")).ShouldContain("\"profile\":\"home\"", Case.Insensitive);

        var (exit, output, err) = await RunningLoom.RunAsync(folder, ["engine-provisioner"], [("ENGINE_PROVISIONER_HANDOFF_DIR", ".runtime/engines")]);
        exit.ShouldBe(0, output + err);
        var handed = Path.Combine(folder, ".runtime", "engines", "default-r0.json");
        File.Exists(handed).ShouldBeTrue();

        var node = await StartAsync(folder, "pool-managerd", ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"), ("POOL_MANAGERD_RUNTIME_DIR", ".runtime/engines"), ("RUST_LOG", "info"));
        (await TextAsync(node, "node", "/health")).ShouldContain("ok");
        await Deadline.Until(() => !File.Exists(handed), "the agent takes over what the provisioner has prepared");
    }

    [Fact(Timeout = 300_000)]
    public async Task Home_AllVariablesOnUp_AnswersAChat()
    {
        var up = await StartAsync(
            Folder("home"), "up",
            ("ORCHD_ADDR", "127.0.0.1:0"), ("ORCHD_RUNTIME_DIR", ".runtime/engines"), ("ORCHD_ADMISSION_CAPACITY", "100"), ("RUST_LOG", "info"),
            ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"), ("POOL_MANAGERD_RUNTIME_DIR", ".runtime/engines"), ("ENGINE_PROVISIONER_HANDOFF_DIR", ".runtime/engines"));

        (await TextAsync(up, "api", "/v1/chat/completions", """{"model":"demo","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}""")).ShouldContain("content");
        (await TextAsync(up, "node", "/health")).ShouldContain("ok");
        Directory.Exists(Path.Combine(_folder["home"], ".runtime", "engines")).ShouldBeTrue();
    }

    [Fact(Timeout = 400_000)]
    public async Task Cloud_ControlPlaneAndTwoWorkers_ServeAndTellNoToken()
    {
        var queen = await StartAsync(
            Folder("queen"), "queen-rbee",
            ("ORCHESTRATORD_CLOUD_PROFILE", "true"), ("ORCHESTRATORD_BIND_ADDR", "127.0.0.1:0"), ("LLORCH_API_TOKEN", _token), ("ORCHESTRATORD_NODE_TIMEOUT_MS", "30000"),
            ("ORCHESTRATORD_PLACEMENT_STRATEGY", "least-loaded"), ("ORCHD_ADMISSION_CAPACITY", "500"), ("OTEL_EXPORTER_OTLP_ENDPOINT", Collector),
            ("PROMETHEUS_METRICS_PORT", FreePorts.NextText()), ("RUST_LOG", "info,queen-rbee=debug"));
        var url = queen.Addresses["api"];
        // What the troubleshooting section has operators try: it needs no token.
        (await TextAsync(queen, "api", "/v2/meta/capabilities", token: null)).ShouldContain("\"profile\":\"cloud\"", Case.Insensitive);

        var workers = new[] { await WorkerAsync(1, url), await WorkerAsync(2, url) };
        foreach (var node in new[] { "gpu-node-1", "gpu-node-2" })
        {
            await ClusterWorld.WaitAsync(
                async () => await TextAsync(queen, "api", $"/v2/nodes/{node}") is var text && text.Contains("\"state\":\"online\"", StringComparison.Ordinal) && text.Contains("\"ready\":true", StringComparison.Ordinal),
                $"{node} is online and ready");
        }

        (await TextAsync(queen, "api", "/v1/chat/completions", """{"model":"demo","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}""")).ShouldContain("content");

        // RUST_LOG=info,queen-rbee=debug: what only a debug line tells.
        using (var odd = new HttpRequestMessage(HttpMethod.Get, new Uri(url + "/v2/meta/version")))
        {
            odd.Headers.TryAddWithoutValidation("x-request-id", new string('x', 200));
            using var answer = await _http.SendAsync(odd);
            await Deadline.Until(() => queen.Log.Contains("the client's request id is not", StringComparison.Ordinal), "the debug line of the request id");
        }

        // journalctl -u queen-rbee | grep token_fp6, grep node_registration; journalctl -u pool-managerd | grep registration.
        var fingerprint = "token_fp6=" + Secret.Fingerprint(_token);
        queen.Log.ShouldContain(fingerprint);
        queen.Log.Split('\n').ShouldContain(l => l.Contains("node_registration") && l.Contains("gpu-node-2"));
        foreach (var worker in workers)
        {
            worker.Log.Split('\n').ShouldContain(l => l.Contains("registration") && l.Contains(fingerprint));
        }

        await NoTokenAsync([queen, .. workers]);
    }

    private async Task<ClusterPart> WorkerAsync(int number, string url)
    {
        var name = $"gpu-node-{number}";
        var folder = Folder(name);
        var engines = _folder[name + "-var/engines"];
        (string, string)[] provisioner =
        [
            ("ENGINE_PROVISIONER_HANDOFF_DIR", engines), ("ENGINE_PROVISIONER_CACHE_DIR", _folder[name + "-cache"]), ("ENGINE_PROVISIONER_GPU_MASK", $"{number - 1}"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", Collector),
        ];
        var (exit, output, err) = await RunningLoom.RunAsync(folder, ["engine-provisioner"], provisioner);
        exit.ShouldBe(0, output + err);
        (await File.ReadAllTextAsync(Path.Combine(engines, "default-r0.json"))).ShouldContain($"-00000000000{number - 1}\",\"slots\"", customMessage: "the device of the mask, by its UUID");
        var first = FreePorts.Range(20);
        var worker = await StartAsync(
            folder, "pool-managerd",
            [
                ("POOL_MANAGERD_NODE_ID", name), ("ORCHESTRATORD_URL", url), ("LLORCH_API_TOKEN", _token), ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"),
                ("POOL_MANAGERD_RUNTIME_DIR", engines), ("POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "10"), ("OTEL_EXPORTER_OTLP_ENDPOINT", Collector),
                ("PROMETHEUS_METRICS_PORT", FreePorts.NextText()), ("RUST_LOG", "info,pool_managerd=debug"), ("POOL_MANAGERD_ENGINE_PORTS", $"{first}-{first + 19}"), .. provisioner,
            ]);
        await Deadline.Until(() => Directory.GetFiles(engines, "*.json").Length == 0, "the handoff file is taken over");
        return worker;
    }

    // In no log, on no page of metrics, in no error and in no process list.
    private async Task NoTokenAsync(ClusterPart[] parts)
    {
        foreach (var part in parts)
        {
            part.Log.ShouldNotContain(_token);
            var metrics = await TextAsync(new Uri(part.Addresses["metrics"]), _token);
            metrics.ShouldContain("# TYPE");
            metrics.ShouldNotContain(_token);
        }

        foreach (var file in Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories).Where(f => Path.GetExtension(f) is ".log" or ".json"))
        {
            (await File.ReadAllTextAsync(file)).ShouldNotContain(_token, customMessage: file);
        }

        foreach (var process in Directory.GetDirectories("/proc").Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0])))
        {
            try
            {
                (await File.ReadAllTextAsync(Path.Combine(process, "cmdline"))).ShouldNotContain(_token);
            }
            catch (IOException)
            {
                // It ended while we looked.
            }
        }

        using var refused = await _http.GetAsync(new Uri(parts[0].Addresses["api"] + "/v2/nodes"));
        refused.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await refused.Content.ReadAsStringAsync()).ShouldNotContain(_token);
    }

    private async Task<ClusterPart> StartAsync(string folder, string verb, params (string Name, string Value)[] environment)
    {
        var part = await ClusterPart.StartAsync(folder, [verb], environment);
        _parts.Add(part);
        return part;
    }

    private Task<string> TextAsync(ClusterPart part, string address, string path, string? body = null) => TextAsync(part, address, path, _token, body);

    private Task<string> TextAsync(ClusterPart part, string address, string path, string? token, string? body = null) => TextAsync(new Uri(part.Addresses[address] + path), token, body);

    private async Task<string> TextAsync(Uri address, string? token, string? body = null)
    {
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, address);
        request.Headers.Authorization = token is null ? null : new("Bearer", token);
        request.Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var answer = await _http.SendAsync(request);
        return await answer.Content.ReadAsStringAsync();
    }

    private string Folder(string name)
    {
        var folder = Directory.CreateDirectory(_folder[name]).FullName;
        File.WriteAllText(Path.Combine(folder, "loom.toml"), Project);
        return folder;
    }
}
