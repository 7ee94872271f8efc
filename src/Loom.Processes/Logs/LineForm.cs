using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Processes.Logs;

/// <summary>Where a captured line comes from.</summary>
internal enum LineSource
{
    Output,
    Error,

    /// <summary>Loom itself, about the log.</summary>
    Loom,
}

/// <summary>The form lines take in a file: text with a time before it, or one JSON object a line. Not for several threads at once.</summary>
internal sealed class LineForm(string name, LogOptions options)
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private ArrayBufferWriter<byte>? _buffer;

    /// <summary>Longest time stamp, bytes.</summary>
    internal const int StampLength = 25;

    /// <summary>Writes the time before a line; 0 where the form has none there.</summary>
    internal int Stamp(DateTimeOffset at, Span<byte> target) => options is { Timestamps: true, Format: LineFormat.Text } ? StampAlways(at, target) : 0;

    /// <summary>RFC 3339 with milliseconds, in UTC, and a blank.</summary>
    internal static int StampAlways(DateTimeOffset at, Span<byte> target)
    {
        at.UtcDateTime.TryFormat(target, out var written, "yyyy-MM-ddTHH:mm:ss.fffZ ", CultureInfo.InvariantCulture);
        return written;
    }

    /// <summary>The line as it stands after its time; valid until the next call.</summary>
    internal ReadOnlySpan<byte> Body(ReadOnlySpan<byte> line, LineSource source, DateTimeOffset at)
    {
        var body = options.StripAnsi ? Ansi.Strip(line) : line;
        return options.Format == LineFormat.Json ? Json(body, source, at) : body;
    }

    private ReadOnlySpan<byte> Json(ReadOnlySpan<byte> line, LineSource source, DateTimeOffset at)
    {
        _buffer ??= new ArrayBufferWriter<byte>(256);
        _buffer.ResetWrittenCount();
        using var json = new Utf8JsonWriter(_buffer, s_json);
        json.WriteStartObject();
        if (options.Timestamps)
        {
            Span<byte> stamp = stackalloc byte[StampLength];
            json.WriteString("ts"u8, stamp[..(StampAlways(at, stamp) - 1)]);
        }

        json.WriteString("name"u8, name);
        json.WriteString("stream"u8, source switch { LineSource.Output => "stdout"u8, LineSource.Error => "stderr"u8, _ => "loom"u8 });
        json.WriteString("text"u8, Encoding.UTF8.GetString(line).TrimEnd('\r')); // through a string: it makes invalid UTF-8 valid
        json.WriteEndObject();
        json.Flush();
        return _buffer.WrittenSpan;
    }
}
