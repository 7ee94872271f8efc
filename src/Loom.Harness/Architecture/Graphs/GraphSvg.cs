using System.Globalization;
using System.Text;
using Loom.Components;

namespace Loom.Harness.Architecture.Graphs;

/// <summary>A graph as an SVG image that needs nothing else: no script, no font, no style sheet. The same graph gives the same bytes.</summary>
internal static class GraphSvg
{
    private const int BoxWidth = 168;
    private const int BoxHeight = 46;
    private const int ColumnStep = 268;
    private const int RowStep = 84;
    private const int Margin = 24;

    /// <param name="plan">The system.</param>
    /// <param name="live">How it runs now; null = only what it is.</param>
    public static string Write(SystemPlan plan, LiveGraph? live = null)
    {
        var cells = GraphLayout.Of(plan);
        var columns = cells.Count == 0 ? 1 : cells.Max(c => c.Column) + 1;
        var rows = cells.Count == 0 ? 1 : cells.Max(c => c.Row) + 1;
        var height = (2 * Margin) + ((rows - 1) * RowStep) + BoxHeight + (plan.Bindings.Any(b => b.Feedback) ? 40 : 0);
        var width = (2 * Margin) + ((columns - 1) * ColumnStep) + BoxWidth;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n");
        text.Append(CultureInfo.InvariantCulture, $"  <title>{Escape($"{plan.Name} {plan.Version}")}</title>\n");
        text.Append("  <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto-start-reverse\"><path d=\"M0 0L8 4L0 8z\" fill=\"#5b6472\"/></marker></defs>\n");
        text.Append(CultureInfo.InvariantCulture, $"  <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n");
        var index = plan.Components.Select((c, i) => (c.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        foreach (var binding in plan.Bindings)
        {
            Edge(text, binding, cells[index[binding.FromComponent]], cells[index[binding.ToComponent]], height, live);
        }

        for (var i = 0; i < plan.Components.Count; i++)
        {
            Box(text, plan.Components[i], cells[i], live?.Bottleneck == plan.Components[i].Name);
        }

        return text.Append("</svg>\n").ToString();
    }

    private static void Box(StringBuilder text, ComponentPlan component, GraphCell cell, bool slowest)
    {
        var (x, y) = At(cell);
        var (fill, radius) = component.Type switch
        {
            ComponentType.Source or ComponentType.ApiEndpoint => ("#e3f1e6", BoxHeight / 2),
            ComponentType.Sink or ComponentType.Store => ("#e6ebf7", 4),
            ComponentType.Router or ComponentType.Controller => ("#fbf0d9", 12),
            ComponentType.Model => ("#f2e6f7", 8),
            _ => ("#f2f3f5", 8),
        };
        text.Append("  <g>");
        text.Append(CultureInfo.InvariantCulture, $"<title>{Escape($"{component.Name}: {component.Type}, {GraphText.Made(component)}")}</title>");
        text.Append(CultureInfo.InvariantCulture, $"<rect x=\"{x}\" y=\"{y}\" width=\"{BoxWidth}\" height=\"{BoxHeight}\" rx=\"{radius}\" fill=\"{fill}\" {(slowest ? "stroke=\"#c0392b\" stroke-width=\"3\"" : "stroke=\"#5b6472\"")}/>");
        text.Append(CultureInfo.InvariantCulture, $"<text x=\"{x + (BoxWidth / 2)}\" y=\"{y + 20}\" text-anchor=\"middle\" font-weight=\"600\" fill=\"#1d232c\">{Escape(GraphText.Cut(component.Name, 22))}</text>");
        text.Append(CultureInfo.InvariantCulture, $"<text x=\"{x + (BoxWidth / 2)}\" y=\"{y + 36}\" text-anchor=\"middle\" fill=\"#5b6472\">{Escape(GraphText.Cut(GraphText.Made(component), 24))}</text>");
        text.Append("</g>\n");
    }

    private static void Edge(StringBuilder text, BindingPlan binding, GraphCell from, GraphCell to, int height, LiveGraph? live)
    {
        var (x1, y1) = (At(from).X + BoxWidth, At(from).Y + (BoxHeight / 2));
        var (x2, y2) = (At(to).X, At(to).Y + (BoxHeight / 2));
        var back = to.Column <= from.Column;
        var bend = Math.Max(40, (x2 - x1) / 2);

        // What goes back goes round below.
        var path = back
            ? string.Create(CultureInfo.InvariantCulture, $"M{x1} {y1}C{x1 + 50} {y1},{x1 + 50} {height - 10},{(x1 + x2) / 2} {height - 10}S{x2 - 50} {y2},{x2} {y2}")
            : string.Create(CultureInfo.InvariantCulture, $"M{x1} {y1}C{x1 + bend} {y1},{x2 - bend} {y2},{x2} {y2}");
        text.Append(CultureInfo.InvariantCulture,
            $"  <path d=\"{path}\" fill=\"none\" stroke=\"#5b6472\"{(binding.Feedback ? " stroke-dasharray=\"5 4\"" : "")} marker-end=\"url(#arrow)\"><title>{Escape(binding.Name)}</title></path>\n");
        var label = GraphText.Label(binding, live);
        if (label.Length > 0)
        {
            var (x, y) = back ? ((x1 + x2) / 2, height - 14) : ((x1 + x2) / 2, ((y1 + y2) / 2) - 6);
            text.Append(CultureInfo.InvariantCulture, $"  <text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#3a4250\">{Escape(GraphText.Cut(label, 30))}</text>\n");
        }
    }

    private static (int X, int Y) At(GraphCell cell) => (Margin + (cell.Column * ColumnStep), Margin + (cell.Row * RowStep));

    private static string Escape(string text)
    {
        var built = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            built.Append(c switch { '&' => "&amp;", '<' => "&lt;", '>' => "&gt;", '"' => "&quot;", _ when char.IsControl(c) => " ", _ => c.ToString() });
        }

        return built.ToString();
    }
}
