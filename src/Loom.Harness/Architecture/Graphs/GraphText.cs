namespace Loom.Harness.Architecture.Graphs;

/// <summary>Short texts on a picture of a graph.</summary>
internal static class GraphText
{
    /// <summary>What a component is made of.</summary>
    public static string Made(ComponentPlan component) =>
        component.Uses.BuiltIn ?? component.Uses.Class ?? (component.Uses.Command is { } command ? string.Join(' ', command.Command) : component.Type.ToString());

    /// <summary>Ports that are not the usual ones, and the rule that chooses the binding; empty for the usual.</summary>
    public static string Label(BindingPlan binding)
    {
        var ports = (binding.FromPort, binding.ToPort) switch
        {
            ("out", "in") => "",
            (var from, "in") => from,
            ("out", var to) => $"to {to}",
            var (from, to) => $"{from} to {to}",
        };
        var rule = binding.Condition is { } condition ? condition == "default" ? "otherwise" : condition : "";
        return ports.Length > 0 && rule.Length > 0 ? $"{ports}: {rule}" : ports + rule;
    }

    /// <summary>The same, and behind it how the binding flows now.</summary>
    public static string Label(BindingPlan binding, LiveGraph? live)
    {
        var label = Label(binding);
        return live?.Streams.GetValueOrDefault(binding.Name) is not { } stream ? label : label.Length == 0 ? stream.ToString() : $"{label}: {stream}";
    }

    /// <summary>At most so many characters.</summary>
    public static string Cut(string text, int most) => text.Length <= most ? text : string.Concat(text.AsSpan(0, most - 1), "…");
}
