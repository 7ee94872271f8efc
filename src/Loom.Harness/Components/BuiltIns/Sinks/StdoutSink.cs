using System.Buffers;
using System.ComponentModel;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>Settings of <c>stdout</c>.</summary>
internal sealed record StdoutOptions
{
    [Description("What a line holds: data, the payload alone (a mock event's with \"mock\": true), or event, an object with id, key, time, mock, headers and data.")]
    public EventFormat Format { get; init; }
}

/// <summary>Prints events.</summary>
[Component("stdout", Type = ComponentType.Sink,
    Summary = "Prints each event to standard output as one line of JSON, a tenth of a second after it came at the latest. What is printed twice after a crash stays printed twice.")]
internal sealed class StdoutSink(StdoutOptions options) : Sink<JsonElement>
{
    private const int BlockBytes = 64 * 1024;

    private readonly ArrayBufferWriter<byte> _lines = new(BlockBytes);
    private readonly ArrayBufferWriter<byte> _line = new(4096);
    private Stream _output = Stream.Null;

    /// <summary>Where lines go.</summary>
    internal Func<Stream> Open { get; init; } = Console.OpenStandardOutput;

    /// <inheritdoc />
    protected internal override TimeSpan? Tick => TimeSpan.FromMilliseconds(100);

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _output = Open();
        return default;
    }

    /// <inheritdoc />
    protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
    {
        lock (_lines)
        {
            if (_lines.WrittenCount >= BlockBytes)
            {
                Print();
            }

            _line.ResetWrittenCount();
            EventJson.Write(e, options.Format, _line);
            _lines.Write(_line.WrittenSpan);
            _lines.Write("\n"u8);
        }

        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct)
    {
        Print();
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        Print();
        return default;
    }

    private void Print()
    {
        lock (_lines)
        {
            if (_lines.WrittenCount > 0)
            {
                _output.Write(_lines.WrittenSpan);
                _output.Flush();
                _lines.ResetWrittenCount();
            }
        }
    }
}

/// <summary>Takes events and forgets them.</summary>
[Component("discard", Type = ComponentType.Sink, Idempotent = true, Summary = "Takes events and forgets them; they count as delivered.")]
internal sealed class DiscardSink : Sink<JsonElement>
{
    /// <inheritdoc />
    protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct) => default;
}
