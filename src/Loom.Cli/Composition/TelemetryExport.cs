using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Core.Telemetry;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>Joins one part of Loom to an OTLP collector where the settings name one.</summary>
internal static class TelemetryExport
{
    /// <summary>Begins to export logs, metrics and traces; null where no collector is set.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="service">Name of the part: <c>loom</c>, <c>queen-rbee</c>, <c>pool-managerd</c>, <c>engine-provisioner</c>, <c>loom-harness</c>.</param>
    /// <param name="instance">Id of this start.</param>
    /// <param name="logging">Loom's own log, which is exported, too.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Where trouble with the collector is told.</param>
    public static OtlpExport? Start(SettingsSnapshot settings, string service, string instance, LoomLogging logging, TimeProvider time, ILoggerFactory loggers)
    {
        if (settings.GetOrNull(SharedSettings.OtlpEndpoint) is not { } endpoint)
        {
            return null;
        }

        var protocol = OtlpOptions.ProtocolOf(endpoint, settings.Environment.GetValueOrDefault("OTEL_EXPORTER_OTLP_PROTOCOL"));
        return logging.Export = OtlpExport.Start(new OtlpOptions(endpoint, protocol, service, instance, Build.Current.Version), time, loggers.CreateLogger("telemetry"));
    }
}
