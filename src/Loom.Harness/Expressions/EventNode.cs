using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Expressions;

internal delegate Value EventValue(ref readonly Event<JsonElement> e);

/// <summary>Something of the event other than its payload.</summary>
internal sealed class EventNode : Node
{
    private readonly EventValue _read;

    public EventNode(Kind kind, EventValue read, string source)
        : base(kind, source)
    {
        _read = read;
        IsConstant = false;
    }

    public override Value Evaluate(ref Frame frame) => _read(in frame.Event);
}

/// <summary><c>meta</c>: <c>mock</c>, <c>attempt</c> and <c>trace_id</c> of the event.</summary>
internal sealed class MetaNode : Node
{
    public static readonly IReadOnlyList<string> Fields = ["attempt", "mock", "trace_id"];

    public MetaNode(string source)
        : base(Kind.Map, source) => IsConstant = false;

    public override Value Evaluate(ref Frame frame)
    {
        var map = new ValueMap(Fields.Count);
        map.TryAdd("attempt", Attempt(in frame.Event));
        map.TryAdd("mock", Mock(in frame.Event));
        map.TryAdd("trace_id", TraceId(in frame.Event));
        return Value.Of(map);
    }

    /// <summary>One of its fields, or null when there is none of this name.</summary>
    public static EventNode? Field(string name, string source) => name switch
    {
        "attempt" => new EventNode(Kind.Int, Attempt, source),
        "mock" => new EventNode(Kind.Bool, Mock, source),
        "trace_id" => new EventNode(Kind.String, TraceId, source),
        _ => null,
    };

    private static Value Attempt(ref readonly Event<JsonElement> e) => Value.Of((long)e.Attempt);

    private static Value Mock(ref readonly Event<JsonElement> e) => Value.Of(e.Mock);

    private static Value TraceId(ref readonly Event<JsonElement> e) =>
        Value.Of(e.Trace.TraceId == default ? "" : e.Trace.TraceId.ToHexString());
}
