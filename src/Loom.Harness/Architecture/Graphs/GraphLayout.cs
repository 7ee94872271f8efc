namespace Loom.Harness.Architecture.Graphs;

/// <summary>A component's place: column and row from 0.</summary>
internal readonly record struct GraphCell(int Column, int Row);

/// <summary>
/// Places components in columns, each right of everything that feeds it, and orders every column so that bindings cross little: a few sweeps of the
/// median of the neighbours. Deterministic; ties keep the order of declaration.
/// </summary>
internal static class GraphLayout
{
    private const int Sweeps = 4;

    /// <summary>A cell for each component, in order of declaration.</summary>
    public static IReadOnlyList<GraphCell> Of(SystemPlan plan)
    {
        var index = plan.Components.Select((c, i) => (c.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        var edges = plan.Bindings.Select(b => (From: index[b.FromComponent], To: index[b.ToComponent])).Where(e => e.From != e.To).Distinct().ToList();
        var forward = WithoutCycles(plan.Components.Count, edges);
        var column = Columns(plan.Components.Count, forward);
        var columns = Enumerable.Range(0, column.Length == 0 ? 0 : column.Max() + 1).Select(c => Enumerable.Range(0, column.Length).Where(i => column[i] == c).ToList()).ToList();
        var row = new int[column.Length];
        Number(columns, row);
        for (var sweep = 0; sweep < Sweeps; sweep++)
        {
            foreach (var each in sweep % 2 == 0 ? columns : Enumerable.Reverse(columns))
            {
                var neighbours = forward.ToLookup(e => sweep % 2 == 0 ? e.To : e.From, e => sweep % 2 == 0 ? e.From : e.To);
                var order = each.Select(i => (Node: i, At: Median([.. neighbours[i].Select(n => row[n])], row[i]))).OrderBy(p => p.At).ThenBy(p => row[p.Node]).Select(p => p.Node).ToList();
                each.Clear();
                each.AddRange(order);
                for (var r = 0; r < each.Count; r++)
                {
                    row[each[r]] = r;
                }
            }
        }

        return [.. column.Select((c, i) => new GraphCell(c, row[i]))];
    }

    private static void Number(List<List<int>> columns, int[] row)
    {
        foreach (var column in columns)
        {
            for (var r = 0; r < column.Count; r++)
            {
                row[column[r]] = r;
            }
        }
    }

    private static double Median(List<int> rows, int otherwise)
    {
        rows.Sort();
        return rows.Count == 0 ? otherwise : (rows[(rows.Count - 1) / 2] + rows[rows.Count / 2]) / 2.0;
    }

    // Edges that go back along the path of a depth-first walk are left out, so that what remains has an order.
    private static List<(int From, int To)> WithoutCycles(int count, List<(int From, int To)> edges)
    {
        var outgoing = edges.ToLookup(e => e.From);
        var state = new byte[count];
        var kept = new List<(int, int)>(edges.Count);
        for (var start = 0; start < count; start++)
        {
            if (state[start] != 0)
            {
                continue;
            }

            var path = new Stack<(int Node, IEnumerator<(int From, int To)> Left)>();
            state[start] = 1;
            path.Push((start, outgoing[start].GetEnumerator()));
            while (path.TryPeek(out var top))
            {
                if (!top.Left.MoveNext())
                {
                    state[top.Node] = 2;
                    path.Pop();
                    continue;
                }

                var edge = top.Left.Current;
                if (state[edge.To] != 1)
                {
                    kept.Add(edge);
                }

                if (state[edge.To] == 0)
                {
                    state[edge.To] = 1;
                    path.Push((edge.To, outgoing[edge.To].GetEnumerator()));
                }
            }
        }

        return kept;
    }

    // Longest path from a component nothing feeds.
    private static int[] Columns(int count, List<(int From, int To)> edges)
    {
        var column = new int[count];
        var waiting = new int[count];
        foreach (var edge in edges)
        {
            waiting[edge.To]++;
        }

        var outgoing = edges.ToLookup(e => e.From);
        var ready = new Queue<int>(Enumerable.Range(0, count).Where(i => waiting[i] == 0));
        while (ready.TryDequeue(out var node))
        {
            foreach (var edge in outgoing[node])
            {
                column[edge.To] = Math.Max(column[edge.To], column[node] + 1);
                if (--waiting[edge.To] == 0)
                {
                    ready.Enqueue(edge.To);
                }
            }
        }

        return column;
    }
}
