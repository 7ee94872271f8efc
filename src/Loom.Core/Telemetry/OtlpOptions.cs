namespace Loom.Core.Telemetry;

/// <summary>How a collector is spoken to.</summary>
public enum OtlpProtocol
{
    /// <summary>gRPC over HTTP/2, the usual port is 4317.</summary>
    Grpc,

    /// <summary>Protobuf over HTTP/1.1, the usual port is 4318.</summary>
    Http,
}

/// <summary>Where traces, metrics and logs go, and as whose.</summary>
/// <param name="Endpoint">Base address of the collector (<c>telemetry.otlp_endpoint</c>).</param>
/// <param name="Protocol">How it is spoken to.</param>
/// <param name="Service">Name of this part: <c>loom</c>, <c>queen-rbee</c>, <c>pool-managerd</c> ...</param>
/// <param name="Instance">Id of this start of it.</param>
/// <param name="Version">Version of Loom.</param>
public sealed record OtlpOptions(Uri Endpoint, OtlpProtocol Protocol, string Service, string Instance, string Version)
{
    private const int HttpPort = 4318;

    /// <summary>Pause between two exports of the metrics. Default 10 s.</summary>
    public TimeSpan MetricsEvery { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>What the environment asks for (<c>OTEL_EXPORTER_OTLP_PROTOCOL</c>: <c>grpc</c> or <c>http/protobuf</c>); else by the port: 4318 is HTTP.</summary>
    public static OtlpProtocol ProtocolOf(Uri endpoint, string? asked) => asked?.Trim() switch
    {
        "grpc" => OtlpProtocol.Grpc,
        "http/protobuf" => OtlpProtocol.Http,
        _ => endpoint.Port == HttpPort ? OtlpProtocol.Http : OtlpProtocol.Grpc,
    };

    /// <summary>Address of one signal: over HTTP each has its own path.</summary>
    internal Uri AddressOf(string signal) => Protocol == OtlpProtocol.Http ? new Uri($"{Endpoint.AbsoluteUri.TrimEnd('/')}/v1/{signal}") : Endpoint;
}
