using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Loom.Load;

/// <summary>What ten thousand beating nodes cost a control plane: CPU, and the tail of requests that run meanwhile.</summary>
internal static class Fleet
{
    private const int Nodes = 10_000;
    private const int Pools = 4;
    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(20);

    public static async Task RunAsync(string loom, string folder, Report report, CancellationToken cancellationToken)
    {
        var (apiPort, metricsPort) = (Child.FreePort(), Child.FreePort());
        var project = Directory.CreateDirectory(Path.Combine(folder, "fleet")).FullName;
        await File.WriteAllTextAsync(Path.Combine(project, "loom.toml"), "", cancellationToken).ConfigureAwait(false);
        using var control = Child.Start(
            loom,
            $"queen-rbee -C {project} --no-color",
            folder,
            ("ORCHESTRATORD_CLOUD_PROFILE", "true"),
            ("ORCHESTRATORD_BIND_ADDR", $"127.0.0.1:{apiPort}"),
            ("PROMETHEUS_METRICS_PORT", $"{metricsPort}"),
            ("LLORCH_API_TOKEN", Stage.Token));
        await control.ListeningAsync(apiPort, TimeSpan.FromSeconds(30)).ConfigureAwait(false);
        var address = new IPEndPoint(IPAddress.Loopback, apiPort);

        // One node with a real mock engine behind its proxy serves the requests; the other nodes offer another model and only beat.
        var serving = await NodesAsync(loom, folder, address, 1, "bench", 1, "mock", cancellationToken).ConfigureAwait(false);
        using (serving)
        {
            var request = Serving.Chat("mock", 900, 1, stream: false);
            await Loads.RequestsAsync(address, request, 4, TimeSpan.FromSeconds(8), cancellationToken).ConfigureAwait(false);
            var alone = await Loads.RequestsAsync(address, request, 4, s_length / 2, cancellationToken).ConfigureAwait(false);
            using var fleet = await NodesAsync(loom, folder, address, Nodes, "fleet", Pools, "idle", cancellationToken).ConfigureAwait(false);
            await UntilOnlineAsync(address, Nodes + 1, cancellationToken).ConfigureAwait(false);
            var before = control.CpuTime();
            var clock = Stopwatch.StartNew();
            await Task.Delay(s_length, cancellationToken).ConfigureAwait(false);
            var cpu = (control.CpuTime() - before) / clock.Elapsed;
            var busy = await Loads.RequestsAsync(address, request, 4, s_length / 2, cancellationToken).ConfigureAwait(false);
            report.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"- {Nodes:N0} nodes of {Pools} pools, a beat every 10 s: {100 * cpu:F1} % of one core; request p99 {busy.Quantile(0.99):F2} ms, alone {alone.Quantile(0.99):F2} ms: {busy.Quantile(0.99) / alone.Quantile(0.99):F2}×; completed {100 * busy.CompletionRate:F2} %; {control.Resident() / 1e6:F0} MB resident"));
        }
    }

    private static Task<Child> NodesAsync(string loom, string folder, IPEndPoint control, int count, string prefix, int pools, string model, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(Child.Start(
            loom,
            $"dev mock-nodes --count {count} --url http://{control} --prefix {prefix} --pools {pools} --model {model} --slots 64",
            folder,
            ("LLORCH_API_TOKEN", Stage.Token)));
    }

    private static async Task UntilOnlineAsync(IPEndPoint address, int count, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Request("GET", "/metrics", "", "Authorization: Bearer " + Stage.Token);
        var clock = Stopwatch.StartNew();
        using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            using var text = new MemoryStream();
            await connection.SendAsync(request, data => text.Write(data.Span), cancellationToken).ConfigureAwait(false);
            if (System.Text.Encoding.UTF8.GetString(text.ToArray()).Contains($"orchd_nodes{{state=\"online\"}} {count}\n", StringComparison.Ordinal))
            {
                return;
            }

            if (clock.Elapsed > TimeSpan.FromMinutes(2))
            {
                throw new TimeoutException($"{count} nodes were not online within two minutes");
            }

            await Task.Delay(200, cancellationToken).ConfigureAwait(false);
        }
    }
}
