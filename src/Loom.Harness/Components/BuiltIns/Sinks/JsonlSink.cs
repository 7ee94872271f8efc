using System.Buffers;
using System.ComponentModel;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>Settings of <c>jsonl_out</c>.</summary>
internal sealed record JsonlOutOptions : AppendOptions
{
    [Description("What a line holds: data, the payload alone (a mock event's with \"mock\": true), or event, an object with id, key, time, mock, headers and data.")]
    public EventFormat Format { get; init; }
}

/// <summary>One line of JSON for each event.</summary>
[Component("jsonl_out", Type = ComponentType.Sink, Idempotent = true, StateVersion = 1,
    Summary = "Appends each event to a file as one line of JSON. With checkpoints a line appears once, when a checkpoint commits it, whatever crashes and repeats; without them lines appear every flush_ms.")]
internal sealed class JsonlSink(JsonlOutOptions options, ILogger<JsonlSink> log) : AppendSink(options, log)
{
    /// <inheritdoc />
    protected override void Encode(in Event<JsonElement> e, IBufferWriter<byte> into)
    {
        EventJson.Write(e, options.Format, into);
        into.Write("\n"u8);
    }
}
