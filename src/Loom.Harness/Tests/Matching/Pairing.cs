namespace Loom.Harness.Tests.Matching;

/// <summary>Gives as many expected events as possible an event of their own, in any order.</summary>
internal static class Pairing
{
    /// <summary>For each event that came the expected one it stands for; -1 for none.</summary>
    /// <param name="wanted">Number of expected events.</param>
    /// <param name="seen">Number of events that came.</param>
    /// <param name="fits">Whether an expected event fits one that came; asked once for each pair, and only where it matters.</param>
    /// <param name="likely">The events that came to look at first for an expected one, else the one in its place; a guess that saves comparisons.</param>
    /// <param name="ct">Give up.</param>
    public static int[] Of(int wanted, int seen, Func<int, int, bool> fits, Func<int, Queue<int>?> likely, CancellationToken ct)
    {
        var takenBy = Enumerable.Repeat(-1, seen).ToArray();
        var open = new List<int>();
        for (var one = 0; one < wanted; one++)
        {
            ct.ThrowIfCancellationRequested();
            var guess = likely(one);
            while (guess is { Count: > 0 } && takenBy[guess.Peek()] >= 0)
            {
                guess.Dequeue();
            }

            var first = guess is { Count: > 0 } ? guess.Peek() : one;
            if (first < seen && takenBy[first] < 0 && fits(one, first))
            {
                takenBy[first] = one;
            }
            else
            {
                open.Add(one);
            }
        }

        var known = new bool?[wanted][];
        bool Fits(int one, int i) => (known[one] ??= new bool?[seen])[i] ??= fits(one, i);
        var hopeless = new bool[seen];
        foreach (var one in open)
        {
            Place(one, takenBy, Fits, hopeless, ct);
        }

        return takenBy;
    }

    // Looks for an event for one that has none, where others may give theirs up for another: only so is "any order" decided right. Breadth first, so that no list is too long.
    private static void Place(int first, int[] takenBy, Func<int, int, bool> fits, bool[] hopeless, CancellationToken ct)
    {
        var askedBy = new Dictionary<int, int>();
        var gaveUp = new Dictionary<int, int>(); // by expected event, what it held before
        var asking = new Queue<int>([first]);
        while (asking.TryDequeue(out var one))
        {
            for (var i = 0; i < takenBy.Length; i++)
            {
                ct.ThrowIfCancellationRequested();
                if (hopeless[i] || askedBy.ContainsKey(i) || !fits(one, i))
                {
                    continue;
                }

                askedBy[i] = one;
                if (takenBy[i] < 0)
                {
                    Hand(first, i);
                    return;
                }

                gaveUp[takenBy[i]] = i;
                asking.Enqueue(takenBy[i]);
            }
        }

        // Nothing that was looked at leads to a free one, now or later.
        foreach (var i in askedBy.Keys)
        {
            hopeless[i] = true;
        }

        void Hand(int to, int free)
        {
            for (var i = free; ;)
            {
                var owner = askedBy[i];
                takenBy[i] = owner;
                if (owner == to)
                {
                    return;
                }

                i = gaveUp[owner];
            }
        }
    }
}
