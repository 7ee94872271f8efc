using System.Buffers;
using Loom.Control.Admission;

namespace Loom.Control.Gateway;

/// <summary>
/// Forwards an event stream: whole events, as they came, sent at once. Only comments before the first event and usage nobody asked for are left out.
/// </summary>
/// <param name="watch">What ends the call.</param>
/// <param name="client">Where the bytes go.</param>
/// <param name="waiting">Keeps the client informed until the first byte.</param>
/// <param name="options">Limits.</param>
/// <param name="time">The clock.</param>
/// <param name="repaired">Told what was repaired in an event.</param>
internal sealed class StreamRelay(
    CallWatch watch, ClientWriter client, WaitingStream waiting, GatewayOptions options, TimeProvider time, Action<string> repaired)
{
    private const int Buffer = 16 * 1024;

    // An event of this size is forwarded in parts.
    private const int LargestEvent = 1024 * 1024;

    /// <summary>Forwards to the end of the stream.</summary>
    /// <param name="upstream">The engine's answer.</param>
    /// <param name="ticket">Whose answer it is.</param>
    /// <param name="hideUsage">Whether usage was asked for by us and not by the client.</param>
    /// <param name="repair">Whether events that break strict clients are repaired.</param>
    /// <param name="begin">Called once, before the first byte goes out.</param>
    /// <param name="record">What was seen so far, also when this throws.</param>
    /// <exception cref="IOException">The engine broke off.</exception>
    /// <exception cref="OperationCanceledException">The watch ended the call.</exception>
    public async Task RunAsync(Stream upstream, Ticket ticket, bool hideUsage, bool repair, Action begin, RelayRecord record)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Buffer);
        var filled = 0;
        var begun = false;
        try
        {
            while (true)
            {
                var reading = upstream.ReadAsync(buffer.AsMemory(filled), watch.Token);
                var read = record.FirstByteAt == 0 && !reading.IsCompleted
                    ? await FirstReadAsync(reading.AsTask(), ticket).ConfigureAwait(false)
                    : await reading.ConfigureAwait(false);
                filled += read;
                if (!begun && read > 0)
                {
                    filled = WithoutComments(buffer.AsSpan(0, filled));
                    if (filled == 0 || (buffer[0] == ':' && filled < buffer.Length && SseScanner.FirstEvent(buffer.AsSpan(0, filled)) == 0))
                    {
                        // The engine keeps the connection, but has not begun to answer. Our own comments tell the client more.
                        continue;
                    }
                }

                record.Seen(time.GetTimestamp());
                if (!begun)
                {
                    begun = true;
                    begin();
                }

                if (read == 0)
                {
                    client.Write(buffer.AsSpan(0, filled));
                    await client.FlushAsync().ConfigureAwait(false);
                    return;
                }

                var taken = Forward(buffer.AsSpan(0, filled), hideUsage, repair, record);
                filled -= taken;
                buffer.AsSpan(taken, filled).CopyTo(buffer);
                if (filled == buffer.Length)
                {
                    filled = MakeRoom(ref buffer, filled);
                }

                await client.FlushAsync().ConfigureAwait(false);
                watch.Token.ThrowIfCancellationRequested();
                watch.Expect(EndCause.StreamIdle, options.StreamIdleTimeout);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // An engine may send its headers long before its first token.
    private async ValueTask<int> FirstReadAsync(Task<int> reading, Ticket ticket)
    {
        await waiting.WaitAsync(reading, ticket, watch.Token).ConfigureAwait(false);
        return await reading.ConfigureAwait(false);
    }

    // Takes complete events that are comments from the front; returns how many bytes are left.
    private static int WithoutComments(Span<byte> bytes)
    {
        TokenUsage? none = null;
        var seen = 0;
        while (SseScanner.FirstEvent(bytes[seen..]) is > 0 and var length && SseScanner.Classify(bytes.Slice(seen, length), ref none) == SseEventKind.Comment)
        {
            seen += length;
        }

        bytes[seen..].CopyTo(bytes);
        return bytes.Length - seen;
    }

    private int Forward(ReadOnlySpan<byte> bytes, bool hideUsage, bool repair, RelayRecord record)
    {
        var sent = 0;
        var seen = 0;
        while (SseScanner.FirstEvent(bytes[seen..]) is > 0 and var length)
        {
            var kind = SseScanner.Classify(bytes.Slice(seen, length), ref record.Usage);
            record.Events += kind == SseEventKind.Data ? 1 : 0;
            if (kind == SseEventKind.UsageOnly && hideUsage)
            {
                client.Write(bytes[sent..seen]);
                sent = seen + length;
            }
            else if (repair && kind == SseEventKind.Data && SseRepair.Of(bytes.Slice(seen, length), repaired) is { } better)
            {
                client.Write(bytes[sent..seen]);
                client.Write(better);
                sent = seen + length;
            }

            seen += length;
        }

        client.Write(bytes[sent..seen]);
        return seen;
    }

    private int MakeRoom(ref byte[] buffer, int filled)
    {
        if (filled >= LargestEvent)
        {
            client.Write(buffer.AsSpan(0, filled));
            return 0;
        }

        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.AsSpan(0, filled).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
        return filled;
    }
}
