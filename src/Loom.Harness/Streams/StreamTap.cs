using System.Text.Json;
using System.Threading.Channels;
using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Streams;

/// <summary>Somebody looking into a stream; dispose to stop looking.</summary>
internal interface IStreamTap : IDisposable
{
    /// <summary>Copies that were dropped because the looker was slow.</summary>
    long Dropped { get; }

    /// <summary>The copies, as JSON.</summary>
    IAsyncEnumerable<Event<JsonElement>> ReadAllAsync(CancellationToken ct);
}

/// <summary>A side buffer of 1,000 copies: full, it drops the newest and counts.</summary>
internal sealed class StreamTap<T>(int sample, Action<StreamTap<T>> leave) : IStreamTap
{
    private const int Kept = 1000;

    private readonly Channel<Event<T>> _copies = Channel.CreateBounded<Event<T>>(new BoundedChannelOptions(Kept) { SingleReader = true, SingleWriter = true, FullMode = BoundedChannelFullMode.Wait });
    private long _seen;
    private long _dropped;

    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Called by the stream's writer.</summary>
    public void Offer(in Event<T> e)
    {
        if (_seen++ % sample == 0 && !_copies.Writer.TryWrite(e))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    public async IAsyncEnumerable<Event<JsonElement>> ReadAllAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var e in _copies.Reader.ReadAllAsync(ct).ConfigureAwait(false))
        {
            yield return e.With(PayloadJson.Of(e.Data));
        }
    }

    public void Dispose()
    {
        leave(this);
        _copies.Writer.TryComplete();
    }
}
