using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Makes plans of the bindings: one for each pair of source and target.</summary>
internal sealed class BindingPlanner(PlanningContext context, IReadOnlyDictionary<string, PlacedComponent> components)
{
    private readonly FindingList _findings = context.Findings;

    public IEnumerable<PlacedBinding> Plan(YamlNode entry)
    {
        if (entry is not YamlMapping map)
        {
            _findings.Error(Codes.WrongType, entry, $"a binding is {entry.Kind}; write {{ from: component.port, to: component.port }}");
            return [];
        }

        Variables.Refuse(map, _findings);
        var keys = new KeyReader(map, "binding", _findings);
        var ends = new BindingEndsReader(_findings, components).Read(keys, map);
        var plan = Common(keys, map);
        keys.Done();
        return ends is null ? [] : ends.To.Select((to, _) => new PlacedBinding(
            plan with
            {
                Name = plan.Name.Length > 0 ? ends.To.Count == 1 ? plan.Name : $"{plan.Name}->{to.Endpoint}" : $"{ends.From}->{to.Endpoint}",
                FromComponent = ends.From.Component,
                FromPort = ends.From.Port,
                ToComponent = to.Endpoint.Component,
                ToPort = to.Endpoint.Port,
            },
            map, ends.FromNode, to.Node));
    }

    private BindingPlan Common(KeyReader keys, YamlMapping map)
    {
        var qos = new KeyReader(keys.Map("qos"), "qos of a binding", _findings);
        var timeToLive = qos.Time("ttl_ms", 0.001, 31_536_000);
        qos.Done();
        var standard = new BindingPlan { Name = "", FromComponent = "", FromPort = "", ToComponent = "", ToPort = "" };
        var feedback = keys.Bool("feedback");
        var inFlight = keys.Int("max_in_flight", 1, 10_000_000, "events");
        if (feedback && inFlight is null)
        {
            _findings.Error(Codes.Feedback, keys.At("feedback", map), "a feedback binding needs max_in_flight: how many events the loop may hold, so that bounded buffers cannot deadlock");
        }

        return standard with
        {
            Name = keys.Text("name") ?? "",
            Buffer = keys.Int("buffer", 1, 10_000_000, "events") ?? context.Settings.BufferSize,
            BufferBytes = keys.Long("buffer_bytes", 1, long.MaxValue, "bytes") ?? standard.BufferBytes,
            Overflow = keys.Choice<OverflowRule>("overflow") ?? OverflowRule.Block,
            SpillBytes = keys.Long("spill_bytes", 1 << 20, long.MaxValue, "bytes") ?? standard.SpillBytes,
            Condition = Expression(keys, "condition", "default"),
            Weight = keys.Int("weight", 1, 1_000_000) ?? 1,
            Priority = keys.Int("priority", -1_000_000, 1_000_000) ?? 0,
            Transformation = Expression(keys, "transformation", null),
            Copy = keys.Bool("copy"),
            Feedback = feedback,
            MaxInFlight = inFlight,
            TimeToLive = timeToLive,
            Timeout = keys.Time("timeout_ms", 0.001, 86_400) ?? standard.Timeout,
        };
    }

    private string? Expression(KeyReader keys, string key, string? word) => ExpressionText.Read(keys, key, word, "binding", _findings);
}

/// <summary>A component and one of its ports, as <c>component.port</c>.</summary>
internal readonly record struct Endpoint(string Component, string Port)
{
    public override string ToString() => $"{Component}.{Port}";
}
