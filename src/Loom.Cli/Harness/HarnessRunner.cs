using System.Buffers;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Gpus;
using Loom.Core.Settings;
using Loom.Core.Telemetry;
using Loom.Harness.Api;
using Loom.Harness.Execution;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>Runs a system in the foreground with its API, and tells how it ended; under <c>--watch</c> again and again, one after the other.</summary>
internal sealed class HarnessRunner(VerbContext context, HarnessSession session, ProcessSignals signals, ILoggerFactory loggers, ISupervisor supervisor, string instance)
{
    private int? _port;

    /// <summary>Where metrics are sent; null = nowhere.</summary>
    public OtlpExport? Export { get; init; }

    /// <summary>The newest run was asked by its API to drain.</summary>
    public bool WasDrained { get; private set; }

    /// <summary>One run to its end.</summary>
    /// <param name="request">How.</param>
    /// <param name="port">Port of health and metrics; null: that of <c>harness.bind</c>. A later run takes the one the first one got.</param>
    /// <param name="over">Asks it to drain.</param>
    /// <param name="ct">Gives up before it runs.</param>
    /// <returns>Its exit code.</returns>
    /// <exception cref="SystemFilesException">The files are wrong, or not what was locked.</exception>
    /// <exception cref="Loom.Core.Web.PortTakenException">The port is in use.</exception>
    /// <exception cref="Loom.Harness.Checkpoints.StateRequiredException">State is required and cannot be kept or resumed.</exception>
    public async Task<int> RunAsync(HarnessRequest request, int? port, CancellationToken over, CancellationToken ct)
    {
        using var services = new HarnessServices(session.Settings, request.Scheduler?.Time ?? context.Time, loggers);
        var world = new HarnessWorld
        {
            Time = context.Time,
            Random = new Random(),
            Logs = loggers,
            Services = services,
            Options = session.Options,
            Environment = session.Environment,
            Supervisor = supervisor,
            Gpus = FixedGpus.None,
            Instance = instance,
        };
        await using var harness = await SystemExecutionHarness.LoadAsync(request, world, ct).ConfigureAwait(false);
        var bind = (session.Options.Bind ?? HostPort.TryParse("127.0.0.1:9000")!).Resolve();
        bind.Port = _port ?? port ?? bind.Port;
        var token = session.Settings.GetOrNull(SharedSettings.Token)?.Reveal();
        if (!IPAddress.IsLoopback(bind.Address) && token is null)
        {
            throw new CliError(ExitCode.Usage, "TOKEN_REQUIRED", $"harness.bind {bind} can be reached from other machines, and LLORCH_API_TOKEN is not set", "set LLORCH_API_TOKEN, or bind to 127.0.0.1");
        }

        WasDrained = false;
        using var drained = CancellationTokenSource.CreateLinkedTokenSource(over);
        void Drain()
        {
            WasDrained = true;
            drained.Cancel();
        }

        await using var listener = await HarnessListener.OpenAsync(harness, bind, services.Routes, token, Drain, Environment.ProcessId, context.Time, loggers, ct).ConfigureAwait(false);
        _port = new Uri(listener.Address).Port;
        return await RunAsync(harness, listener, request, drained.Token).ConfigureAwait(false);
    }

    private async Task<int> RunAsync(SystemExecutionHarness harness, HarnessListener listener, HarnessRequest request, CancellationToken over)
    {
        foreach (var notice in harness.Notices)
        {
            context.Terminal.Note(notice);
        }

        if (harness.Unlocked)
        {
            context.Terminal.Note("unlocked: this run is not bound to build.lock");
        }

        context.Terminal.Note($"health and metrics: {listener.Address} (loom harness ps, tap, drain)");
        harness.Assembly.Run.Started = () => listener.Api.IsRunning = true;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, over);
        using var done = new CancellationTokenSource();
        var lines = request.Scheduler is null ? new RunLine(context, harness.Assembly).ShowAsync(done.Token) : Task.CompletedTask;
        var result = await harness.RunAsync(new RunTokens(stop.Token, signals.Kill)).ConfigureAwait(false);
        await done.CancelAsync().ConfigureAwait(false);
        await lines.ConfigureAwait(false);
        Export?.SendMetrics(); // after the end nobody can ask the instruments
        Tell(harness, result);
        return signals.Kill.IsCancellationRequested ? signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Terminated
            : result.ExitCode;
    }

    private void Tell(SystemExecutionHarness harness, RunResult result)
    {
        var snapshot = RunSnapshot.Of(harness.Assembly);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(Json(harness, result, snapshot));
            return;
        }

        foreach (var error in result.Errors)
        {
            context.Terminal.Err.WriteLine(context.Terminal.Paint(Tone.Bad, $"error: {harness.Clean(error.Message)}"));
        }

        context.Terminal.Note($"{harness.Assembly.Plan.Name} {result.Reason}: {Sum(snapshot, harness)}");
        foreach (var (stream, left) in result.Left)
        {
            context.Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"  left in {stream}: {left}"));
        }

        foreach (var component in snapshot.Components.Where(c => c.InHand > 0))
        {
            context.Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"  left in hand of {component.Name}: {component.InHand}"));
        }
    }

    private static string Sum(RunSnapshot snapshot, SystemExecutionHarness harness)
    {
        var failed = snapshot.Components.Sum(c => c.Failed);
        var dropped = snapshot.Streams.Sum(s => s.Dropped);
        var text = string.Create(CultureInfo.InvariantCulture, $"{snapshot.Read(harness.Assembly)} read, {failed} dead-lettered");
        text += dropped > 0 ? string.Create(CultureInfo.InvariantCulture, $", {dropped} dropped by streams") : "";
        return snapshot.Checkpoints is { Last: { } last } ? $"{text}, checkpoint {last.Id}" : text;
    }

    private static string Json(SystemExecutionHarness harness, RunResult result, RunSnapshot snapshot)
    {
        var text = new ArrayBufferWriter<byte>(4096);
        using (var w = new Utf8JsonWriter(text))
        {
            w.WriteStartObject();
            w.WriteString("system", harness.Assembly.Plan.Name);
            w.WriteString("version", harness.Assembly.Plan.Version);
            w.WriteNumber("exit", result.ExitCode);
            w.WriteString("reason", result.Reason);
            w.WriteBoolean("unlocked", harness.Unlocked);
            SystemJson.List(w, "errors", result.Errors, (writer, e) => writer.WriteStringValue(harness.Clean(e.Message)));
            w.WriteStartObject("left");
            foreach (var (stream, left) in result.Left)
            {
                w.WriteNumber(stream, left);
            }

            w.WriteEndObject();
            SystemJson.Snapshot(w, snapshot);
            w.WriteString("checkpoint", snapshot.Checkpoints?.Last?.Id.ToString());
            w.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.WrittenSpan);
    }
}
