using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Headers;

namespace Loom.Control.Gateway;

/// <summary>Replaces a range of the request body; an empty range inserts.</summary>
internal readonly record struct Splice(int Start, int End, ReadOnlyMemory<byte> Text);

/// <summary>The client's bytes on their way to the engine: as they came, apart from the splices.</summary>
internal sealed class UpstreamBody : HttpContent
{
    private static readonly MediaTypeHeaderValue s_json = new("application/json");

    private readonly ReadOnlyMemory<byte> _body;
    private readonly ImmutableArray<Splice> _splices;

    /// <param name="body">The body; must stay unchanged until the request is sent or failed.</param>
    /// <param name="splices">In order, not overlapping.</param>
    public UpstreamBody(ReadOnlyMemory<byte> body, ImmutableArray<Splice> splices)
    {
        _body = body;
        _splices = splices;
        Headers.ContentType = s_json;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var done = 0;
        foreach (var splice in _splices)
        {
            await stream.WriteAsync(_body[done..splice.Start], cancellationToken).ConfigureAwait(false);
            await stream.WriteAsync(splice.Text, cancellationToken).ConfigureAwait(false);
            done = splice.End;
        }

        await stream.WriteAsync(_body[done..], cancellationToken).ConfigureAwait(false);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _body.Length;
        foreach (var splice in _splices)
        {
            length += splice.Text.Length - (splice.End - splice.Start);
        }

        return true;
    }
}
