using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Systemd;
using Loom.Cli.Terminal;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Node.Inventory;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary>
/// The life of a part of a cluster as a service: settings judged whole, a log on stderr for the service manager to keep, one ready line, an ordered stop.
/// </summary>
/// <param name="context">Surroundings of the verb.</param>
/// <param name="parse">Its command line.</param>
/// <param name="signals">Who asks it to stop.</param>
/// <param name="part">The part.</param>
/// <param name="name">Its verb.</param>
internal sealed class ServiceSession(VerbContext context, ParseResult parse, ProcessSignals signals, LoomPart part, string name)
{
    /// <summary>Runs the part until it is asked to stop.</summary>
    /// <param name="start">Starts it.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(Func<ServiceWorld, CancellationToken, Task<IService>> start)
    {
        if (ProcessConfiguration.LoadStrict(context, parse, part) is not { } settings)
        {
            return ExitCode.Usage;
        }

        // Read by the socket engine at its first use: completions run where they arrive; nothing on that path blocks. Set after the environment was captured.
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        var runtime = RuntimeOptions.From(settings);
        using var logging = new LoomLogging(null, settings.Get(SharedSettings.Log).LevelOf, runtime.JsonLog, null, new SecretMask(SecretValues.From(settings)))
        {
            Stream = TextWriter.Synchronized(context.Terminal.Err),
        };
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        var instance = Guid.NewGuid().ToString();
        using var export = TelemetryExport.Start(settings, name, instance, logging, context.Time, loggers);
        using var notifier = Notifier.Of(context.Environment, context.Time, loggers.CreateLogger("systemd"));
        try
        {
            var service = await start(new ServiceWorld(settings, runtime, context, instance, loggers), signals.Stop).ConfigureAwait(false);
            await using (service.ConfigureAwait(false))
            {
                TellReady(service, instance);
                notifier.Ready("ready");
                notifier.KeepAlive(() => service.Fault is null && !service.Broken.IsCancellationRequested);
                await WaitAsync(service).ConfigureAwait(false);
                notifier.Stopping("stopping");
                await StopAsync(service, runtime).ConfigureAwait(false);
                return service.Broken.IsCancellationRequested
                    ? throw new CliError(ExitCode.Failed, "FAILED", $"loom {name} cannot go on: {service.Fault?.Message}", $"loom {name}, and report this with its log")
                    : signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Ok;
            }
        }
        catch (GpuMaskException e)
        {
            throw new CliError(ExitCode.Usage, "CONFIGURATION", e.Message, "name one of them, or none for the CPU; loom doctor shows them");
        }
        catch (PortTakenException e)
        {
            throw PortRemedy.Error(e, name);
        }
        catch (OperationCanceledException) when (signals.Stop.IsCancellationRequested)
        {
            return signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Terminated;
        }
    }

    private void TellReady(IService service, string instance)
    {
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new ServiceReady(1, service.RunId ?? instance, Environment.ProcessId, service.Addresses), ServiceJson.Default.ServiceReady));
            context.Terminal.Out.Flush();
            return;
        }

        context.Terminal.Note($"{context.Terminal.Paint(Tone.Good, "ready")}: loom {name}, {string.Join(", ", service.Addresses.Select(a => $"{a.Key} {a.Value}"))}");
    }

    private async Task WaitAsync(IService service)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, service.Broken, service.DownRequested);
        await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task StopAsync(IService service, RuntimeOptions runtime)
    {
        context.Terminal.Note("stopping (a second signal ends everything at once)");
        using var patience = new CancellationTokenSource(runtime.ShutdownTimeout, context.Time);
        using var hurry = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, signals.Kill);
        await service.StopAsync(hurry.Token).ConfigureAwait(false);
    }
}

/// <summary>What a service starts with.</summary>
/// <param name="Settings">The configuration.</param>
/// <param name="Runtime">How the runtime behaves.</param>
/// <param name="Context">Surroundings of the verb.</param>
/// <param name="Instance">Id of this start.</param>
/// <param name="Loggers">Its log.</param>
internal sealed record ServiceWorld(SettingsSnapshot Settings, RuntimeOptions Runtime, VerbContext Context, string Instance, ILoggerFactory Loggers);

/// <summary>The document a service prints with <c>--json</c> when it is ready.</summary>
internal sealed record ServiceReady(int Schema, string RunId, int Pid, IReadOnlyDictionary<string, string> Addresses);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ServiceReady))]
internal sealed partial class ServiceJson : JsonSerializerContext;
