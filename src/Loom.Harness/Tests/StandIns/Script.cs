using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components.BuiltIns.Models;

namespace Loom.Harness.Tests.StandIns;

/// <summary>Answers by what a test says of a component: a call that fails, replies in their order, or a recording.</summary>
internal sealed class Script : IAnswers
{
    /// <summary>Code of an event no answer was found for.</summary>
    public const string NoAnswer = "no_recording";

    private const int MostShown = 120;

    private readonly ComponentPlan _component;
    private readonly MockPlan? _mock;
    private readonly Recording? _recording;
    private readonly bool _mayAsk;
    private readonly bool _isApart;
    private readonly Action<string> _problem;
    private readonly string _output;
    private int _calls;
    private int _replied;

    /// <param name="component">The component that is stood in for.</param>
    /// <param name="mock">What the test says; null: nothing, and every event fails for want of an answer.</param>
    /// <param name="recording">Recorded answers; null: none are wanted.</param>
    /// <param name="mayAsk">Whether the component itself may be asked for what is missing.</param>
    /// <param name="isApart">Whether the component itself would reach a network, which this case does not.</param>
    /// <param name="problem">Told why the case cannot be right.</param>
    public Script(ComponentPlan component, MockPlan? mock, Recording? recording, bool mayAsk, bool isApart, Action<string> problem)
    {
        (_component, _mock, _recording, _mayAsk, _isApart, _problem) = (component, mock, recording, mayAsk, isApart, problem);
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
            return !_isApart ? null
                : throw Problem($"{_component.Name} ({_component.Uses.BuiltIn}) reaches no network in a test, and no mock answers this event; write mocks: {{ {_component.Name}: {{ recording: rec/{_component.Name}.jsonl }} }} and record with loom harness test --update, or write live: true");
        }

        return _recording.Find(e.Data)
            ?? (_mayAsk ? null : throw Problem($"{_mock!.RecordingName} holds no answer of {_component.Name} to {Short(Matching.EventLines.Of(e.Data))}; loom harness test --update records it by asking the component itself"));
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

    private static string Short(string line) => line.Length <= MostShown ? line : line[..MostShown] + "…";

    private ItemException Problem(string why)
    {
        _problem(why);
        return new ItemException(NoAnswer, why);
    }
}
