using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class AskPortTests
{
    private static readonly PortPlan s_port = new() { Name = "store", Class = SemanticClass.DataOut, Data = typeof(JsonElement), Flow = FlowType.RequestResponse };

    private static readonly BindingPlan s_binding = new()
    {
        Name = "a.store->b.in", FromComponent = "a", FromPort = "store", ToComponent = "b", ToPort = "in", Buffer = 2, Timeout = TimeSpan.FromSeconds(30),
    };

    private readonly ManualTimeProvider _time = new();
    private readonly EventStream<JsonElement> _stream;
    private readonly AskPort _ask;
    private readonly OutputPort<JsonElement> _answers;

    public AskPortTests()
    {
        _stream = new EventStream<JsonElement>(s_binding, new Signal(), new Signal(), _time);
        _ask = new AskPort(new OutputPort<JsonElement>(s_port, new BroadcastRoute<JsonElement>()), "a", _time);
        _ask.Bind(s_binding, new StreamTarget<JsonElement, JsonElement>(_stream, static e => e), _stream);
        _answers = new OutputPort<JsonElement>(s_port, new BroadcastRoute<JsonElement>());
        _answers.Add(new AnswerTarget(_ask, s_binding), null);
    }

    [Fact]
    public async Task Ask_SeveralAtOnce_EachGetsItsAnswer()
    {
        var (first, second) = (Ask("1"), Ask("2"));
        var third = Ask("3");
        var (one, two) = (Take(), Take());
        await _answers.SendSlowAsync(two.With(JsonElement.Parse("\"two\"")), default);
        (await second).GetString().ShouldBe("two");
        // There is room for the third only now.
        var three = Take();
        await _answers.SendSlowAsync(three.With(three.Data), default);
        await _answers.SendSlowAsync(one.With(one.Data), default);
        (await first).GetInt32().ShouldBe(1);
        (await third).GetInt32().ShouldBe(3);
    }

    [Fact]
    public async Task Ask_NoAnswerInTime_Transient()
    {
        var asked = Ask("1");
        _time.Advance(TimeSpan.FromSeconds(31));
        var error = await Should.ThrowAsync<ItemException>(asked);
        (error.Code, error.Class).ShouldBe(("timeout", ErrorClass.Transient));
        // Too late: nobody waits any more.
        await _answers.SendSlowAsync(Take(), default);
    }

    [Fact]
    public async Task Ask_AnsweringComponentEnds_Transient()
    {
        var asked = Ask("1");
        _answers.Complete();
        (await Should.ThrowAsync<ItemException>(asked)).Code.ShouldBe("unanswered");
        (await Should.ThrowAsync<ItemException>(Ask("2"))).Code.ShouldBe("unanswered");
    }

    private Task<JsonElement> Ask(string json) => _ask.AskAsync(new Event<JsonElement>(EventId.Root("s:0", 0), JsonElement.Parse(json)), default).AsTask();

    private Event<JsonElement> Take()
    {
        // An asker that waited for room goes on on the pool.
        var e = default(Event<JsonElement>);
        SpinWait.SpinUntil(() => _stream.TryRead(out e), TimeSpan.FromSeconds(180)).ShouldBeTrue();
        return e;
    }
}
