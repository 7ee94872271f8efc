using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Loom.Testing.Telemetry;

/// <summary>One span as a collector got it.</summary>
public sealed record SeenSpan(string Service, string Trace, string Id, string Parent, string Name, string Attributes);

/// <summary>An OTLP collector on a free loopback port that keeps what it is sent: gRPC on HTTP/2, or protobuf on HTTP/1.1.</summary>
public sealed class CollectorDouble : IAsyncDisposable
{
    private readonly WebApplication _app;

    private CollectorDouble(WebApplication app) => _app = app;

    /// <summary>Address for <c>OTEL_EXPORTER_OTLP_ENDPOINT</c>.</summary>
    public string Endpoint => _app.Urls.Single();

    /// <summary>Spans, in order of arrival.</summary>
    public ConcurrentQueue<SeenSpan> Spans { get; } = new();

    /// <summary>Names of metrics.</summary>
    public ConcurrentDictionary<string, string> Metrics { get; } = new(StringComparer.Ordinal);

    /// <summary>Texts of log records.</summary>
    public ConcurrentQueue<string> Logs { get; } = new();

    /// <summary>Starts one.</summary>
    /// <param name="grpc">gRPC; else protobuf over HTTP/1.1.</param>
    public static async Task<CollectorDouble> StartAsync(bool grpc)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = grpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var app = builder.Build();
        var collector = new CollectorDouble(app);
        app.Run(http => collector.TakeAsync(http, grpc));
        await app.StartAsync().ConfigureAwait(false);
        return collector;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync().ConfigureAwait(false);

    private async Task TakeAsync(HttpContext http, bool grpc)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body).ConfigureAwait(false);
        var message = body.ToArray();
        Keep(http.Request.Path, grpc ? message[5..] : message); // a frame of gRPC: one flag, four bytes of length
        http.Response.ContentType = grpc ? "application/grpc" : "application/x-protobuf";
        if (grpc)
        {
            await http.Response.Body.WriteAsync(new byte[5]).ConfigureAwait(false);
            http.Response.AppendTrailer("grpc-status", "0");
        }
    }

    private void Keep(string path, byte[] message)
    {
        foreach (var resource in new ProtoFields(message).Bytes(1))
        {
            var service = Attributes(new ProtoFields(resource).Bytes(1)[0], 1).GetValueOrDefault("service.name", "");
            foreach (var scope in new ProtoFields(resource).Bytes(2))
            {
                foreach (var item in new ProtoFields(scope).Bytes(2))
                {
                    Keep(path, service, item);
                }
            }
        }
    }

    private void Keep(string path, string service, byte[] item)
    {
        var fields = new ProtoFields(item);
        if (path.Contains("trace", StringComparison.OrdinalIgnoreCase))
        {
            var attributes = string.Join(';', Attributes(item, 9).Select(a => $"{a.Key}={a.Value}"));
            Spans.Enqueue(new SeenSpan(service, fields.Hex(1), fields.Hex(2), fields.Hex(4), fields.Text(5), attributes));
        }
        else if (path.Contains("metric", StringComparison.OrdinalIgnoreCase))
        {
            Metrics[fields.Text(1)] = service;
        }
        else
        {
            Logs.Enqueue(string.Join(' ', fields.Bytes(5).Select(b => new ProtoFields(b).Text(1)).Concat(Attributes(item, 6).Values)));
        }
    }

    private static Dictionary<string, string> Attributes(byte[] message, int number)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in new ProtoFields(message).Bytes(number))
        {
            var fields = new ProtoFields(pair);
            found[fields.Text(1)] = fields.Bytes(2) is [var value, ..] ? new ProtoFields(value).Text(1) : "";
        }

        return found;
    }
}
