using System.Buffers;

namespace Loom.Core.Telemetry;

/// <summary>Metrics in the Prometheus text format, written when somebody asks.</summary>
public interface IMetricsPage
{
    /// <summary>Writes whole families, none of which another page of the same listener writes.</summary>
    Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken);
}
