using System.Net;

namespace Loom.Load;

/// <summary>The same two mock engines behind every contender: one unpaced, one at 100 tokens a second.</summary>
internal sealed class Stage : IDisposable
{
    public const string Token = "bench-token-bench-token-bench-token";
    private readonly List<Child> _children = [];

    private Stage(string loom, string folder)
    {
        Loom = loom;
        Folder = folder;
    }

    public string Loom { get; }

    public string Folder { get; }

    public IPEndPoint Engine { get; private set; } = null!;

    public IPEndPoint PacedEngine { get; private set; } = null!;

    /// <summary>Never leaves prefill.</summary>
    public IPEndPoint HangEngine { get; private set; } = null!;

    /// <summary>Stops after three tokens and keeps the connection.</summary>
    public IPEndPoint StallEngine { get; private set; } = null!;

    /// <summary>Address of the unpaced engine through each contender.</summary>
    public Dictionary<string, IPEndPoint> Contenders { get; } = new(StringComparer.Ordinal);

    /// <summary>Address of the paced engine through each contender.</summary>
    public Dictionary<string, IPEndPoint> Paced { get; } = new(StringComparer.Ordinal);

    /// <summary>A Node AI gateway; null when it is not installed.</summary>
    public IPEndPoint? Gateway { get; private set; }

    public Child LoomProcess { get; private set; } = null!;

    public int LoomMetricsPort { get; private set; }

    /// <param name="loom">Path of the program.</param>
    /// <param name="gateway">Script of the Node AI gateway; empty = without it.</param>
    /// <param name="folder">Scratch folder.</param>
    public static async Task<Stage> SetAsync(string loom, string gateway, string folder)
    {
        var stage = new Stage(loom, folder);
        try
        {
            stage.Engine = await stage.EngineAsync("").ConfigureAwait(false);
            stage.PacedEngine = await stage.EngineAsync("--tokens-per-second 100").ConfigureAwait(false);
            stage.HangEngine = await stage.EngineAsync("--fault hang-in-prefill").ConfigureAwait(false);
            stage.StallEngine = await stage.EngineAsync("--fault stall:3").ConfigureAwait(false);
            stage.Contenders["direct"] = stage.Engine;
            stage.Paced["direct"] = stage.PacedEngine;
            await stage.NginxAsync().ConfigureAwait(false);
            await stage.HaproxyAsync().ConfigureAwait(false);
            await stage.LoomAsync().ConfigureAwait(false);
            await stage.GatewayAsync(gateway).ConfigureAwait(false);
            return stage;
        }
        catch
        {
            stage.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        for (var i = _children.Count - 1; i >= 0; i--)
        {
            _children[i].Dispose();
        }
    }

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);

    private async Task<IPEndPoint> EngineAsync(string pace)
    {
        var port = Child.FreePort();
        await AddAsync(Child.Start(Loom, $"dev mock-engine --model mock --slots 256 --ctx 1000000 --port {port} {pace}", Folder), port).ConfigureAwait(false);
        return At(port);
    }

    private async Task NginxAsync()
    {
        int fast = Child.FreePort(), paced = Child.FreePort();
        var server = (int port, IPEndPoint engine, string name) => $$"""
            upstream {{name}} { server {{engine}}; keepalive 256; keepalive_requests 100000000; }
            server { listen 127.0.0.1:{{port}}; keepalive_requests 100000000; client_max_body_size 32m; client_body_buffer_size 1m;
              location / { proxy_pass http://{{name}}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }
            """;
        var conf = Path.Combine(Folder, "nginx.conf");
        await File.WriteAllTextAsync(conf, $$"""
            daemon off; worker_processes 2; pid {{Folder}}/nginx.pid; error_log {{Folder}}/nginx.err;
            events { worker_connections 1024; }
            http { access_log off; client_body_temp_path {{Folder}}/nb; proxy_temp_path {{Folder}}/np; fastcgi_temp_path {{Folder}}/nf; uwsgi_temp_path {{Folder}}/nu; scgi_temp_path {{Folder}}/ns;
            {{server(fast, Engine, "fast")}}
            {{server(paced, PacedEngine, "paced")}}
            }
            """).ConfigureAwait(false);
        await AddAsync(Child.Start("/usr/sbin/nginx", $"-c {conf} -p {Folder}", Folder), fast).ConfigureAwait(false);
        Contenders["nginx"] = At(fast);
        Paced["nginx"] = At(paced);
    }

    private async Task HaproxyAsync()
    {
        int fast = Child.FreePort(), paced = Child.FreePort();
        var conf = Path.Combine(Folder, "haproxy.cfg");
        await File.WriteAllTextAsync(conf, $"""
            global
              nbthread 2
            defaults
              mode http
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              option http-no-delay
              http-reuse always
            listen fast
              bind 127.0.0.1:{fast}
              server e {Engine}
            listen paced
              bind 127.0.0.1:{paced}
              server e {PacedEngine}

            """).ConfigureAwait(false);
        await AddAsync(Child.Start("/usr/sbin/haproxy", $"-db -f {conf}", Folder), fast).ConfigureAwait(false);
        Contenders["haproxy"] = At(fast);
        Paced["haproxy"] = At(paced);
    }

    private async Task LoomAsync()
    {
        var project = Directory.CreateDirectory(Path.Combine(Folder, "project")).FullName;
        var port = Child.FreePort();
        LoomMetricsPort = Child.FreePort();
        await File.WriteAllTextAsync(Path.Combine(project, "loom.toml"), $"""
            [llm.fast]
            base_url = "http://{Engine}/v1"
            model = "mock"
            [llm.paced]
            base_url = "http://{PacedEngine}/v1"
            model = "paced"
            [llm.hang]
            base_url = "http://{HangEngine}/v1"
            model = "hang"
            [llm.stall]
            base_url = "http://{StallEngine}/v1"
            model = "stall"
            [serving.engines.hang]
            kind = "openai"
            provider = "hang"
            [serving.pools.narrow]
            engine = "hang"
            models = ["narrow"]
            slots = 1
            [serving.engines.fast]
            kind = "openai"
            provider = "fast"
            [serving.pools.default]
            engine = "fast"
            models = ["mock"]
            slots = 256

            """).ConfigureAwait(false);
        LoomProcess = Child.Start(
            Loom,
            $"up -C {project} --no-input --no-color",
            Folder,
            ("ORCHESTRATORD_BIND_ADDR", $"127.0.0.1:{port}"),
            ("PROMETHEUS_METRICS_PORT", $"{LoomMetricsPort}"),
            ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"),
            ("ORCHD_ADMISSION_CAPACITY", "10000"),
            ("LLORCH_API_TOKEN", Token));
        await AddAsync(LoomProcess, port).ConfigureAwait(false);
        Contenders["loom"] = At(port);
        Paced["loom"] = At(port);
    }

    private async Task GatewayAsync(string script)
    {
        if (script.Length == 0)
        {
            return;
        }

        var port = Child.FreePort();
        await AddAsync(Child.Start("node", $"{script} --headless --port={port}", Folder), port).ConfigureAwait(false);
        Gateway = At(port);
    }

    private async Task AddAsync(Child child, int port)
    {
        _children.Add(child);
        await child.ListeningAsync(port, TimeSpan.FromSeconds(30)).ConfigureAwait(false);
    }
}
