using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Loom.Load;

/// <summary>A request for a model that is not loaded: from the request to its first token, beside starting the same engine by hand.</summary>
internal static class Swap
{
    public static async Task RunAsync(string loom, string adapter, string model, int rounds, string folder, Report report, CancellationToken cancellationToken)
    {
        var port = Child.FreePort();
        var project = Directory.CreateDirectory(Path.Combine(folder, "swap")).FullName;
        var other = Path.Combine(folder, "other.gguf");
        File.Copy(model, other);
        await File.WriteAllTextAsync(Path.Combine(project, "loom.toml"), $"""
            [models.first]
            source = "file:{model}"
            [models.second]
            source = "file:{other}"
            [serving.pools.default]
            models = ["first", "second"]
            min_residency_secs = 0

            """, cancellationToken).ConfigureAwait(false);
        using var runtime = Child.Start(
            loom,
            $"up -C {project} --no-input --no-color --allow-unverified",
            folder,
            ("ORCHESTRATORD_BIND_ADDR", $"127.0.0.1:{port}"),
            ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"),
            ("PROMETHEUS_METRICS_PORT", "0"));
        await runtime.ListeningAsync(port, TimeSpan.FromSeconds(60)).ConfigureAwait(false);
        var address = new IPEndPoint(IPAddress.Loopback, port);
        var swapped = new List<double>();
        var byHand = new List<double>();
        for (var round = -1; round < rounds; round++)
        {
            var name = round % 2 == 0 ? "first" : "second";
            var through = await FirstTokenAsync(address, name, cancellationToken).ConfigureAwait(false);
            var hand = await ByHandAsync(adapter, model, folder, cancellationToken).ConfigureAwait(false);
            if (round >= 0)
            {
                swapped.Add(through);
                byHand.Add(hand);
            }
        }

        var (swap, start) = (Sample.Median(swapped), Sample.Median(byHand));
        report.Line(string.Create(CultureInfo.InvariantCulture, $"- model swap to first token: {swap:F0} ms; the engine started by hand {start:F0} ms: {swap / start:F2}×; {swapped.Count} of {rounds} completed"));
    }

    private static async Task<double> ByHandAsync(string adapter, string model, string folder, CancellationToken cancellationToken)
    {
        var port = Child.FreePort();
        var start = Stopwatch.GetTimestamp();
        using var engine = Child.Start("node", string.Create(CultureInfo.InvariantCulture, $"{adapter}/server.js --model {model} --port {port} --slots 4 --threads 1"), folder);
        var address = new IPEndPoint(IPAddress.Loopback, port);
        await Embedded.HealthyAsync(address, cancellationToken).ConfigureAwait(false);
        await FirstTokenAsync(address, "demo", cancellationToken).ConfigureAwait(false);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static async Task<double> FirstTokenAsync(IPEndPoint address, string model, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Request("POST", "/v1/completions", $$"""{"model":"{{model}}","prompt":"the weaver","max_tokens":4,"seed":1,"stream":true}""");
        using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
        var start = Stopwatch.GetTimestamp();
        var first = 0d;
        var status = await connection.SendAsync(
            request,
            data => first = first == 0 && data.Span.IndexOf("data: "u8) >= 0 ? Stopwatch.GetElapsedTime(start).TotalMilliseconds : first,
            cancellationToken).ConfigureAwait(false);
        return status == 200 ? first : throw new InvalidOperationException($"model '{model}' was answered with status {status}");
    }
}
