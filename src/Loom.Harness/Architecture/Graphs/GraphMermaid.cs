using System.Globalization;
using System.Text;
using Loom.Components;

namespace Loom.Harness.Architecture.Graphs;

/// <summary>A graph as a Mermaid flowchart. The same graph gives the same text.</summary>
internal static class GraphMermaid
{
    /// <param name="plan">The system.</param>
    /// <param name="live">How it runs now; null = only what it is.</param>
    public static string Write(SystemPlan plan, LiveGraph? live = null)
    {
        var text = new StringBuilder("flowchart LR\n");
        for (var i = 0; i < plan.Components.Count; i++)
        {
            var component = plan.Components[i];
            var (open, close) = Shape(component.Type);
            text.Append(CultureInfo.InvariantCulture, $"  c{i}{open}\"{Escape(component.Name)}<br/>{Escape(GraphText.Made(component))}\"{close}\n");
        }

        var index = plan.Components.Select((c, i) => (c.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        foreach (var binding in plan.Bindings)
        {
            var arrow = binding.Feedback ? "-.->" : "-->";
            var label = GraphText.Label(binding, live);
            text.Append(CultureInfo.InvariantCulture, $"  c{index[binding.FromComponent]} {arrow}{(label.Length == 0 ? "" : $"|\"{Escape(label)}\"|")} c{index[binding.ToComponent]}\n");
        }

        if (live?.Bottleneck is { } slowest)
        {
            text.Append(CultureInfo.InvariantCulture, $"  style c{index[slowest]} stroke:#c0392b,stroke-width:3px\n");
        }

        return text.ToString();
    }

    private static (string Open, string Close) Shape(ComponentType type) => type switch
    {
        ComponentType.Source or ComponentType.ApiEndpoint => ("([", "])"),
        ComponentType.Sink or ComponentType.Store => ("[(", ")]"),
        ComponentType.Router => ("{", "}"),
        _ => ("[", "]"),
    };

    private static string Escape(string text) => text.Replace("&", "#amp;", StringComparison.Ordinal).Replace("\"", "#quot;", StringComparison.Ordinal).Replace("<", "#lt;", StringComparison.Ordinal)
        .Replace(">", "#gt;", StringComparison.Ordinal).Replace("\n", " ", StringComparison.Ordinal);
}
