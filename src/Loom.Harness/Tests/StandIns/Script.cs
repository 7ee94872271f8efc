using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components.BuiltIns.Models;

namespace Loom.Harness.Tests.StandIns;

/// <summary>Answers by what a test says of a component: a call that fails, replies in their order, or a recording.</summary>
internal sealed class Script : IAnswers
{
    private readonly ComponentPlan _component;
    private readonly MockPlan? _mock;
    private readonly Recording? _recording;
    private readonly bool _mayAsk;
    private readonly Action<string> _problem;
    private readonly string _output;
    private int _calls;
    private int _replied;

    /// <param name="component">The component that is stood in for.</param>
    /// <param name="mock">What the test says; null: nothing, and every event fails for want of an answer.</param>
    /// <param name="recording">Recorded answers; null: none are wanted.</param>
    /// <param name="mayAsk">Whether the component itself may be asked for what is missing.</param>
    /// <param name="problem">Told why the case cannot be right.</param>
    public Script(ComponentPlan component, MockPlan? mock, Recording? recording, bool mayAsk, Action<string> problem)
    {
        (_component, _mock, _recording, _mayAsk, _problem) = (component, mock, recording, mayAsk, problem);
        _output = component.Ports.FirstOrDefault(p => p.Class == SemanticClass.DataOut)?.Name ?? "out";
    }

    public Answer? Of(Event<JsonElement> e)
    {
        var call = ++_calls;
        if (_mock?.Fail is { } fail && fail.On == call)
        {
            throw new ItemException(fail.Code, $"call {call} of {_component.Name} fails, as its mock says", fail.Retryable ? ErrorClass.Transient : ErrorClass.Permanent);
        }

        if (_mock?.Replies is { } replies)
        {
            return _replied < replies.Count
                ? Reply(e, replies[_replied++])
                : throw Problem($"the mock of {_component.Name} has {replies.Count} repl{(replies.Count == 1 ? "y" : "ies")}, and this is one call more; add a reply");
        }

        if (_recording is null)
        {
            return _mock is not null ? null
                : throw Problem($"{_component.Name} ({_component.Uses.BuiltIn}) reaches no network in a test, and no mock answers for it; write mocks: {{ {_component.Name}: {{ recording: rec/{_component.Name}.jsonl }} }} and record with loom harness test --update, or write live: true");
        }

        return _recording.Find(e.Data)
            ?? (_mayAsk ? null : throw Problem($"{_mock!.RecordingName} holds no answer of {_component.Name} to {Matching.EventLines.Of(e.Data)}; record it with loom harness test --update, which asks the component itself"));
    }

    public void Keep(Event<JsonElement> e, Answer answer) => _recording?.Add(e.Data, answer);

    // A list is several events. The models of Loom add to a payload, and so does what is replied for them.
    private Answer Reply(Event<JsonElement> e, JsonElement reply)
    {
        var sent = reply.ValueKind == JsonValueKind.Array ? reply.EnumerateArray().ToArray() : [reply];
        return new Answer([.. sent.Select(data => (_output, _component.Uses.BuiltIn is "llm" or "embed" ? Laid(e.Data, data) : data))]);
    }

    private static JsonElement Laid(JsonElement payload, JsonElement over)
    {
        foreach (var property in over.ValueKind == JsonValueKind.Object ? over.EnumerateObject() : default)
        {
            payload = PayloadFields.Add(payload, property.Name, property.Value, static (json, value) => value.WriteTo(json));
        }

        return over.ValueKind == JsonValueKind.Object ? payload : over;
    }

    private ItemException Problem(string why)
    {
        _problem(why);
        return new ItemException("no_recording", why);
    }
}
