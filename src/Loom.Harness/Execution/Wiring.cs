using System.Reflection;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Control;
using Loom.Harness.Expressions;
using Loom.Harness.Streams;
using Loom.Harness.Streams.Spills;

namespace Loom.Harness.Execution;

/// <summary>Makes the ports and streams of a system from its plan and joins them; types are looked up here once, never while events flow.</summary>
/// <param name="plan">The system.</param>
/// <param name="loops">What each component's loop has.</param>
/// <param name="time">Clock.</param>
/// <param name="spills">Where a binding's events wait on disk.</param>
internal sealed class Wiring(SystemPlan plan, IReadOnlyDictionary<string, LoopContext> loops, TimeProvider time, Func<BindingPlan, ISpillFiles> spills)
{
    private readonly Dictionary<(string Component, string Port, bool IsInput), PortPlan> _ports =
        plan.Components.SelectMany(c => c.Ports.Select(p => (c.Name, Port: p))).ToDictionary(p => (p.Name, p.Port.Name, p.Port.IsInput), p => p.Port);

    private readonly List<(FoundLoop Found, FeedbackLoop Loop)> _loops = [.. LoopFinder.Of(plan).Select(l => (l, new FeedbackLoop(l.MaxInFlight)))];

    /// <summary>Every stream, in the order of the bindings.</summary>
    public List<IStreamEnd> Streams { get; } = [];

    /// <summary>Those of them that close a loop.</summary>
    public List<IFeedbackStream> Feedbacks { get; } = [];

    public void Connect()
    {
        foreach (var component in plan.Components)
        {
            foreach (var port in component.Ports)
            {
                var make = port.IsInput ? nameof(AddInput) : nameof(AddOutput);
                Call(make, [port.Data], loops[component.Name], port);
            }
        }

        foreach (var (found, loop) in _loops)
        {
            foreach (var member in found.Members)
            {
                var of = loops[member];
                of.Cycle = loop;
                loop.AddMember(
                    () => of.Counters.Done + of.Counters.Failed + of.Counters.Lost + of.Inputs.Values.Cast<IDiverted>().Sum(i => i.Superseded),
                    () => of.Ask(Attention.Inject));
            }
        }

        foreach (var binding in plan.Bindings)
        {
            var from = _ports[(binding.FromComponent, binding.FromPort, false)];
            var to = _ports[(binding.ToComponent, binding.ToPort, true)];
            Call(nameof(Bind), [from.Data, to.Data], binding, from, to);
        }
    }

    private void Call(string method, Type[] types, params object[] arguments) =>
        typeof(Wiring).GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic)!.MakeGenericMethod(types)
            .Invoke(this, BindingFlags.DoNotWrapExceptions, null, arguments, null);

    private void AddInput<T>(LoopContext loop, PortPlan port) =>
        loop.Inputs[port.Name] = new InputPort<T>(port, port.FanIn == FanIn.FirstWins ? new FirstWins(time) : null);

    private void AddOutput<T>(LoopContext loop, PortPlan port)
    {
        var conditions = plan.Bindings.Where(b => b.FromComponent == loop.Plan.Name && b.FromPort == port.Name).Select(b => Condition<T>(b.Condition)).ToArray();
        IRoute<T> route = port.Distribution switch
        {
            Distribution.PartitionHash => new HashRoute<T>(Key<T>(port.DistributionKey!)),
            Distribution.Conditional => new ConditionalRoute<T>(conditions, port.MatchAll),
            Distribution.Weighted => new WeightedRoute<T>(),
            _ => new BroadcastRoute<T>(),
        };
        var output = new OutputPort<T>(port, route) { BeforeWait = loop.FlushOutputs };
        loop.Outputs.Add(port.Flow == FlowType.RequestResponse && output is OutputPort<JsonElement> requests && !Answers(loop.Plan) ? new AskPort(requests, loop.Plan.Name, time, loop.Lane) : output);
    }

    private static bool Answers(ComponentPlan component) => component.Ports.Any(p => p is { Class: SemanticClass.DataIn, Flow: FlowType.RequestResponse });

    private void Bind<TFrom, TTo>(BindingPlan binding, PortPlan from, PortPlan to)
    {
        var writer = loops[binding.FromComponent];
        var reader = loops[binding.ToComponent];
        var end = writer.Outputs.Single(o => o.Plan.Name == from.Name);
        if (to.Class == SemanticClass.ControlIn && reader.Plan.Type != ComponentType.Controller)
        {
            var control = new ControlTarget<TFrom>(binding, reader.Controls, Conversion<TFrom, JsonElement>(binding), () => writer.Errors, time);
            Streams.Add(control);
            ((OutputPort<TFrom>)end).Add(control, null);
            return;
        }

        if (end is not AskPort && (reader.Plan.Type == ComponentType.Controller || StreamRules.AreNeeded(binding, to) || PlaceOf(binding) is not null))
        {
            var ruled = NewRuled<TTo>(binding, to, reader, writer);
            var closes = PlaceOf(binding) is { Place: LoopPlace.Back } place ? place.Loop : null;
            Join(ruled, to, reader, closes is not null);
            Target<TFrom> target = closes is null
                ? new StreamTarget<TFrom, TTo>(ruled, Conversion<TFrom, TTo>(binding))
                : new FeedbackTarget<TFrom, TTo>(ruled, closes, Conversion<TFrom, TTo>(binding), () => writer.Errors);
            ((OutputPort<TFrom>)end).Add(target, null);
            if (closes is not null)
            {
                ruled.YieldsTo = reader.Gate.StandsAtBarrier;
                Feedbacks.Add(ruled);
                reader.Feedbacks.Add(ruled);
            }

            return;
        }

        var stream = new EventStream<TTo>(binding, reader.Gate.Signal, writer.Outbox, time);
        Join(stream, to, reader, closesLoop: false);
        if (end is AskPort ask)
        {
            BindAsk(ask, binding, reader, stream as EventStream<JsonElement> ?? throw new InvalidOperationException($"{binding.Name}: requests are JSON"));
            return;
        }

        var output = (OutputPort<TFrom>)end;
        var plain = from.Distribution == Distribution.Broadcast && binding.Overflow == OverflowRule.Block && binding.Transformation is null && !binding.Copy && writer.Lane is null;
        output.Add(new StreamTarget<TFrom, TTo>(stream, Conversion<TFrom, TTo>(binding)), plain ? stream as EventStream<TFrom> : null);
    }

    // What a binding is to the loop it leads into or lies in; null: it has nothing to do with one.
    private (FeedbackLoop Loop, LoopPlace Place)? PlaceOf(BindingPlan binding)
    {
        foreach (var (found, loop) in _loops)
        {
            if (found.Members.Contains(binding.ToComponent))
            {
                return (loop, !found.Members.Contains(binding.FromComponent) ? LoopPlace.Entry : binding.Feedback ? LoopPlace.Back : LoopPlace.Inner);
            }
        }

        return null;
    }

    private void Join<T>(IStreamHead<T> stream, PortPlan to, LoopContext reader, bool closesLoop)
    {
        Streams.Add((IStreamEnd)stream);
        var port = (InputPort<T>)reader.Inputs[to.Name];
        port.Add(stream);
        reader.Gate.Add(stream, closesLoop, port.HoldsBack(stream));
    }

    private RuledStream<T> NewRuled<T>(BindingPlan binding, PortPlan to, LoopContext reader, LoopContext writer)
    {
        var rules = new StreamRules
        {
            Pull = to.Flow == FlowType.Pull,
            TimeToLive = binding.TimeToLive,
            IgnoresBarriers = reader.Plan.Type == ComponentType.Controller,
            DropOldest = binding.Overflow == OverflowRule.DropOldest,
            Loop = PlaceOf(binding),
            Checkpoints = (reader.Checkpoints, CheckpointCoordinator.FeedbackPart(binding)),
            Refused = reader.Refusals,
            Displaced = () => writer.Errors,
        };
        var spill = binding.Overflow == OverflowRule.Spill ? new Spill<T>(spills(binding), binding.SpillBytes) : null;
        return new RuledStream<T>(binding, rules, spill, reader.Gate.Signal, writer.Outbox, time);
    }

    // Requests go through the stream; answers come back by what the answering component sends.
    private static void BindAsk(AskPort ask, BindingPlan binding, LoopContext reader, EventStream<JsonElement> stream)
    {
        ask.Bind(binding, new StreamTarget<JsonElement, JsonElement>(stream, static e => e), stream);
        var answers = reader.Outputs.OfType<OutputPort<JsonElement>>().First(o => o.Plan.Flow == FlowType.RequestResponse);
        answers.Add(new AnswerTarget(ask, binding), null);
    }

    private static Func<Event<TFrom>, Event<TTo>> Conversion<TFrom, TTo>(BindingPlan binding)
    {
        if (binding.Transformation is { } text)
        {
            var expression = Expression.Compile(text);
            return e =>
            {
                var json = AsJson(e);
                return FromJson<TTo>(json.With(expression.Evaluate(json)), binding);
            };
        }

        if (typeof(TFrom) == typeof(TTo))
        {
            // Immutable JSON needs no copy; anything else is cloned by way of JSON.
            return binding.Copy && typeof(TFrom) != typeof(JsonElement)
                ? e => FromJson<TTo>(AsJson(e), binding)
                : e => (Event<TTo>)(object)e;
        }

        return e => FromJson<TTo>(AsJson(e), binding);
    }

    private static Func<Event<T>, string> Key<T>(string text)
    {
        var expression = Expression.Compile(text);
        return e => expression.CanonicalKey(AsJson(e));
    }

    private static Func<Event<T>, bool>? Condition<T>(string? text)
    {
        if (text is null or "default")
        {
            return null;
        }

        var expression = Expression.Compile(text);
        return e => expression.Test(AsJson(e));
    }

    private static Event<JsonElement> AsJson<T>(in Event<T> e) =>
        typeof(T) == typeof(JsonElement) ? System.Runtime.CompilerServices.Unsafe.As<Event<T>, Event<JsonElement>>(ref System.Runtime.CompilerServices.Unsafe.AsRef(in e)) : Written(e);

    private static Event<JsonElement> Written<T>(in Event<T> e)
    {
        try
        {
            return e.With(JsonSerializer.SerializeToElement(e.Data));
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new ItemException("conversion_failed", $"the payload {typeof(T).Name} cannot be written as JSON: {error.Message}", inner: error);
        }
    }

    private static Event<T> FromJson<T>(Event<JsonElement> e, BindingPlan binding)
    {
        if (typeof(T) == typeof(JsonElement))
        {
            return System.Runtime.CompilerServices.Unsafe.As<Event<JsonElement>, Event<T>>(ref e);
        }

        try
        {
            return e.With(e.Data.Deserialize<T>() ?? throw new ItemException("conversion_failed", $"{binding.Name}: the payload is null"));
        }
        catch (Exception error) when (error is not (ItemException or OutOfMemoryException))
        {
            throw new ItemException("conversion_failed", $"{binding.Name}: the payload is no {typeof(T).Name}: {error.Message}", inner: error);
        }
    }
}
