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
/// <remarks>
/// A stream faster than whoever looks would have both sides busy with copies that are dropped or come too fast to be read, so a full buffer is left alone for a moment.
/// </remarks>
internal sealed class StreamTap<T>(int sample, TimeProvider time, Action<StreamTap<T>> leave) : IStreamTap
{
    private const int Kept = 1000;

    // Copies dropped between two looks at the clock.
    private const int Unseen = 64;

    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(50);

    private readonly Channel<Event<T>> _copies = Channel.CreateBounded<Event<T>>(new BoundedChannelOptions(Kept) { SingleReader = true, SingleWriter = true, FullMode = BoundedChannelFullMode.Wait });
    private long _seen;
    private long _dropped;
    private long _fullSince;
    private int _skip;

    public long Dropped => Interlocked.Read(ref _dropped) - Volatile.Read(ref _skip);

    /// <summary>Called by the stream's writer.</summary>
    public void Offer(in Event<T> e)
    {
        if (sample > 1 && _seen++ % sample != 0)
        {
            return;
        }

        if (_skip > 0)
        {
            if (--_skip == 0)
            {
                LookAgain();
            }
        }
        else if (!_copies.Writer.TryWrite(e))
        {
            _fullSince = time.GetTimestamp();
            Interlocked.Increment(ref _dropped);
            LookAgain();
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

    // Copies that are left out are counted ahead.
    private void LookAgain()
    {
        if (time.GetElapsedTime(_fullSince) < s_moment)
        {
            _skip = Unseen;
            Interlocked.Add(ref _dropped, Unseen);
        }
    }
}
