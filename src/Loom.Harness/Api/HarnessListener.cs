using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;
using Loom.Core.Web;
using Loom.Harness.Components.BuiltIns.Web;
using Loom.Harness.Execution;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Api;

/// <summary>Where a running system's API is, for the verbs that speak to it: <c>.loom/harness/SYSTEM/run.json</c>, mode 0600, there while the system runs.</summary>
/// <param name="Address">Base address.</param>
/// <param name="Token">Opens it.</param>
/// <param name="Pid">The process.</param>
internal sealed record RunningSystem(string Address, string Token, int Pid)
{
    public static string PathOf(string directory, string system) => Path.Combine(directory, ".loom", "harness", system, "run.json");

    /// <summary>Says where a system's API is.</summary>
    /// <returns>The file, to be deleted when the system ends.</returns>
    public string Write(string directory, string system)
    {
        var path = PathOf(directory, system);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(this, RunningSystemJson.Default.RunningSystem), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    /// <summary>The systems that run in a folder, by name. One that was killed still says so; it is told by its process, which is gone.</summary>
    public static IReadOnlyDictionary<string, RunningSystem> In(string directory)
    {
        var found = new Dictionary<string, RunningSystem>(StringComparer.Ordinal);
        var folder = Path.Combine(directory, ".loom", "harness");
        foreach (var file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "run.json", SearchOption.AllDirectories) : [])
        {
            if (JsonSerializer.Deserialize(File.ReadAllBytes(file), RunningSystemJson.Default.RunningSystem) is { } running && Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{running.Pid}")))
            {
                found[Path.GetFileName(Path.GetDirectoryName(file)!)] = running;
            }
        }

        return found;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RunningSystem))]
internal sealed partial class RunningSystemJson : JsonSerializerContext;

/// <summary>Serves the API and metrics of one system while it runs; it cannot be switched off. Tokens are needed also on loopback.</summary>
internal sealed class HarnessListener : IAsyncDisposable
{
    private readonly WebServer _server;
    private readonly HarnessMetrics _metrics;
    private readonly string _runFile;

    private HarnessListener(WebServer server, HarnessMetrics metrics, HarnessApi api, string runFile)
    {
        (_server, _metrics, Api, _runFile) = (server, metrics, api, runFile);
    }

    public HarnessApi Api { get; }

    /// <summary>Base address, once open.</summary>
    public string Address => _server.Address.GetLeftPart(UriPartial.Authority);

    /// <summary>Opens it.</summary>
    /// <param name="harness">The system.</param>
    /// <param name="bind">Where; port 0 takes any.</param>
    /// <param name="endpoints">Routes of the system's own <c>http_in</c>, which come and go.</param>
    /// <param name="token"><c>LLORCH_API_TOKEN</c>, which opens it too; null = none set.</param>
    /// <param name="drain">Asks the run to drain.</param>
    /// <param name="pid">This process.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Logs.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="PortTakenException">The port is in use.</exception>
    public static async Task<HarnessListener> OpenAsync(
        SystemExecutionHarness harness, IPEndPoint bind, EndpointRoutes endpoints, string? token, Action drain, int pid, TimeProvider time, ILoggerFactory loggers, CancellationToken ct)
    {
        var log = loggers.CreateLogger("Loom.Harness.Api");
        var runToken = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var gate = new GateOptions { Address = bind.Address, Token = token, RunToken = runToken, OpenInference = false };
        var metrics = new HarnessMetrics();
        metrics.Show(harness.Assembly);
        var api = new HarnessApi(harness, drain, log);
        var systems = new Dictionary<string, HarnessApi>(StringComparer.Ordinal) { [harness.Assembly.Plan.Name] = api };
        endpoints.Keep(
        [
            new("GET", "/health/live", Scopes.None, call => WriteStatusAsync(call, 200, "live")),
            new("GET", "/health/ready", Scopes.None, call => api.Verdict().Ready ? WriteStatusAsync(call, 200, "ready") : WriteStatusAsync(call, 503, "not ready")),
            .. new HarnessRoutes(() => systems).Routes, MetricsRoute.Of(metrics),
        ]);
        var application = new RouteServer(() => endpoints.Table, new Gatekeeper(gate, time, log), log);
        var server = new WebServer(bind, shapeErrors: false, new ServerLoggers(loggers));
        var listener = new HarnessListener(server, metrics, api, RunningSystem.PathOf(harness.Assembly.Plan.Directory, harness.Assembly.Plan.Name));
        try
        {
            await server.StartAsync<HttpContext>(application, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            await listener.DisposeAsync().ConfigureAwait(false);
            throw new PortTakenException(bind, "harness.bind", e);
        }

        api.Address = listener.Address;
        new RunningSystem(listener.Address, runToken, pid).Write(harness.Assembly.Plan.Directory, harness.Assembly.Plan.Name);
        return listener;
    }

    public async ValueTask DisposeAsync()
    {
        File.Delete(_runFile);
        await _server.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        _server.Dispose();
        _metrics.Dispose();
        await Api.DisposeAsync().ConfigureAwait(false);
    }

    private static Task WriteStatusAsync(ApiCall call, int status, string text) => call.WriteAsync(status, text, static (w, t) =>
    {
        w.WriteStartObject();
        w.WriteString("status", t);
        w.WriteEndObject();
    });
}
