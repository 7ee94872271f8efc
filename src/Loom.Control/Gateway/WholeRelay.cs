using System.Buffers;

namespace Loom.Control.Gateway;

/// <summary>
/// Forwards an answer that is not a stream. An answer of ordinary size is read whole before the first byte goes out, so that an engine that dies in
/// the middle of it costs the client nothing; a longer one is passed on as it comes.
/// </summary>
internal sealed class WholeRelay(CallWatch watch, ClientWriter client, GatewayOptions options, TimeProvider time)
{
    private const int Ordinary = 256 * 1024;

    /// <summary>Forwards to the end of the answer.</summary>
    /// <param name="upstream">The engine's answer.</param>
    /// <param name="begin">Called once, before the first byte goes out; told the length when the whole answer is known.</param>
    /// <param name="record">What was seen so far, also when this throws.</param>
    /// <exception cref="IOException">The engine broke off.</exception>
    /// <exception cref="OperationCanceledException">The watch ended the call.</exception>
    public async Task RunAsync(Stream upstream, Action<long?> begin, RelayRecord record)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        var filled = 0;
        try
        {
            var read = -1;
            while (read != 0 && filled < Ordinary)
            {
                if (filled == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.AsSpan(0, filled).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }

                read = await upstream.ReadAsync(buffer.AsMemory(filled), watch.Token).ConfigureAwait(false);
                filled += read;
                if (filled > 0)
                {
                    watch.Expect(EndCause.StreamIdle, options.StreamIdleTimeout);
                }
            }

            watch.Token.ThrowIfCancellationRequested();
            record.Seen(time.GetTimestamp());
            begin(read == 0 ? filled : null);
            if (read == 0 && TokenUsage.TryRead(buffer.AsSpan(0, filled), out var usage, out _))
            {
                record.Usage = usage;
            }

            client.Write(buffer.AsSpan(0, filled));
            await client.FlushAsync().ConfigureAwait(false);
            while (read != 0)
            {
                watch.Expect(EndCause.StreamIdle, options.StreamIdleTimeout);
                read = await upstream.ReadAsync(buffer, watch.Token).ConfigureAwait(false);
                client.Write(buffer.AsSpan(0, read));
                await client.FlushAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
