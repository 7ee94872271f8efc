using System.ComponentModel;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What a line of standard input is.</summary>
internal enum LineFormat
{
    /// <summary>A JSON value, which is the payload.</summary>
    Json,

    /// <summary>Text, which becomes <c>{"line": text}</c>.</summary>
    Text,
}

/// <summary>Settings of <c>stdin</c>.</summary>
internal sealed record StdinOptions
{
    [Description("What a line is: json, the payload itself, or text, which becomes {\"line\": text}.")]
    public LineFormat Format { get; init; }

    [Description("What happens with a line that is no JSON: dead_letter makes it an item error, skip counts it, fail ends the component.")]
    public BadLine OnBadLine { get; init; }
}

/// <summary>One event for each line of standard input.</summary>
[Component("stdin", Type = ComponentType.Source,
    Summary = "Reads standard input, one event a line, until it is closed. What was read cannot be read again, so a crash loses what is in flight.")]
internal sealed class StdinSource(StdinOptions options, ILogger<StdinSource> log) : Source<JsonElement>
{
    private readonly PayloadWriter _payload = new();
    private readonly Channel<byte[]> _lines = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(1024) { SingleReader = true, SingleWriter = true });
    private BadLines _bad = null!;
    private bool _started;
    private long _count;

    /// <summary>Where lines come from.</summary>
    internal Func<Stream> Open { get; init; } = Console.OpenStandardInput;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _bad = new BadLines(options.OnBadLine, ctx, log);
        return default;
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        if (!_started)
        {
            _started = true;
            // A read of standard input cannot be cancelled; on a thread of its own it holds up nobody, and the process may end under it.
            new Thread(Pump) { IsBackground = true, Name = "loom-stdin" }.Start();
        }

        while (true)
        {
            while (!stopping.IsCancellationRequested && _lines.Reader.TryRead(out var line))
            {
                if (TryMake(line, out var read))
                {
                    return read;
                }
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
            try
            {
                if (stopping.IsCancellationRequested || !await _lines.Reader.WaitToReadAsync(either.Token).ConfigureAwait(false))
                {
                    return Read<JsonElement>.End;
                }
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                return Read<JsonElement>.End;
            }
        }
    }

    private void Pump()
    {
        try
        {
            using var lines = new BufferedStream(Open(), 64 * 1024);
            var line = new MemoryStream();
            while (lines.ReadByte() is var next and >= 0)
            {
                if (next != '\n')
                {
                    line.WriteByte((byte)next);
                }
                else if (!Hand(line))
                {
                    return;
                }
            }

            if (line.Length > 0)
            {
                Hand(line);
            }

            _lines.Writer.TryComplete();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            _lines.Writer.TryComplete(e);
        }
    }

    // Waits on this thread while the stream is full: so the pipe fills, and its writer waits.
    private bool Hand(MemoryStream line)
    {
        var bytes = line.ToArray();
        line.SetLength(0);
        while (!_lines.Writer.TryWrite(bytes))
        {
            if (!_lines.Writer.WaitToWriteAsync().AsTask().GetAwaiter().GetResult())
            {
                return false;
            }
        }

        return true;
    }

    private bool TryMake(byte[] line, out Read<JsonElement> read)
    {
        var at = _count++;
        var text = line.AsSpan().TrimEnd((byte)'\r');
        try
        {
            if (options.Format == LineFormat.Text)
            {
                var json = _payload.Begin();
                PayloadWriter.WriteText(json, "line"u8, text);
                read = Read<JsonElement>.Item(_payload.End(), at, at + 1);
                return true;
            }

            if (JsonLine.TryParse(text, out var data, out var mock))
            {
                read = Read<JsonElement>.Item(data, at, at + 1) with { Mock = mock };
                return true;
            }
        }
        catch (JsonException e)
        {
            if (_bad.Judge($"line {at + 1} of standard input: {BadLines.Reason(e)}", e) is { } error)
            {
                read = Read<JsonElement>.Item(BadLines.Shown(text), at, at + 1) with { Error = error };
                return true;
            }
        }

        read = default;
        return false;
    }

}
