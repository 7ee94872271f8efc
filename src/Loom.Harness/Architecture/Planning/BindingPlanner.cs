using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Makes plans of the bindings: one for each pair of source and target.</summary>
internal sealed class BindingPlanner(PlanningContext context, IReadOnlyDictionary<string, PlacedComponent> components)
{
    private readonly FindingList _findings = context.Findings;
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);
    private readonly List<string> _names = [];

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
        return ends is null ? [] : ends.To.Select(to => One(plan, map, ends, to.Endpoint, to.Node, ends.To.Count == 1));
    }

    /// <summary>Tells the overrides that named no binding, once all are planned.</summary>
    public void TellUnknownOverrides()
    {
        foreach (var (name, over) in context.Deployment.Bindings.Where(o => !_used.Contains(o.Key)))
        {
            var near = _names.Count > 1000 ? null : Nearest.Of(name, _names);
            _findings.Error(Codes.OverrideUnknown, over.Key,
                $"there is no binding \"{Redaction.Plain(name)}\" to override{(near is null ? $" (bindings: {string.Join(", ", _names.Take(20))})" : $"; did you mean \"{near}\"?")}");
        }
    }

    private PlacedBinding One(BindingPlan plan, YamlMapping map, BindingEnds ends, Endpoint to, YamlNode toNode, bool only)
    {
        var given = plan.Name;
        var name = given.Length == 0 ? $"{ends.From}->{to}" : only ? given : $"{given}->{to}";
        plan = plan with { Name = name, FromComponent = ends.From.Component, FromPort = ends.From.Port, ToComponent = to.Component, ToPort = to.Port };
        _names.Add(given.Length == 0 ? name : given);
        foreach (var key in (string[])[given, name])
        {
            if (context.Deployment.Bindings.TryGetValue(key, out var over))
            {
                _used.Add(key);
                plan = Buffers(plan, new KeyReader(over.Map, $"override of binding {key}", _findings));
            }
        }

        return new PlacedBinding(plan, map, ends.FromNode, toNode);
    }

    private static BindingPlan Buffers(BindingPlan plan, KeyReader keys) => plan with
    {
        Buffer = keys.Int("buffer", 1, 10_000_000, "events") ?? plan.Buffer,
        BufferBytes = keys.Long("buffer_bytes", 1, long.MaxValue, "bytes") ?? plan.BufferBytes,
    };

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

        return Buffers(standard with { Buffer = context.Settings.BufferSize }, keys) with
        {
            Name = keys.Text("name") ?? keys.Text("stream_name") ?? "",
            Overflow = keys.Choice<OverflowRule>("overflow") ?? OverflowRule.Block,
            SpillBytes = keys.Long("spill_bytes", 1 << 20, long.MaxValue, "bytes") ?? standard.SpillBytes,
            Condition = ExpressionText.Read(keys, "condition", "default", "binding", _findings, isCondition: true),
            Weight = keys.Int("weight", 1, 1_000_000) ?? 1,
            Priority = keys.Int("priority", -1_000_000, 1_000_000) ?? 0,
            Transformation = ExpressionText.Read(keys, "transformation", null, "binding", _findings),
            Copy = keys.Bool("copy"),
            Feedback = feedback,
            MaxInFlight = inFlight,
            TimeToLive = timeToLive,
            Timeout = keys.Time("timeout_ms", 0.001, 86_400) ?? standard.Timeout,
        };
    }

}

/// <summary>A component and one of its ports, as <c>component.port</c>.</summary>
internal readonly record struct Endpoint(string Component, string Port)
{
    public override string ToString() => $"{Component}.{Port}";
}
