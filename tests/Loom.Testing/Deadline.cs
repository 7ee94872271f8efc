namespace Loom.Testing;

/// <summary>Waiting for something to become true, with an end.</summary>
public static class Deadline
{
    /// <summary>Asks until <paramref name="condition"/> holds.</summary>
    /// <param name="condition">Asked every 10 ms.</param>
    /// <param name="what">Names what is waited for in the error.</param>
    /// <param name="limit">Default 90 s: generous, since a busy machine is no fault.</param>
    /// <exception cref="TimeoutException">It did not come true.</exception>
    public static async Task Until(Func<bool> condition, string what, TimeSpan? limit = null)
    {
        var end = TimeProvider.System.GetTimestamp();
        var most = limit ?? TimeSpan.FromSeconds(90);
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(end) > most)
            {
                throw new TimeoutException($"not within {most.TotalSeconds:0.#} s: {what}");
            }

            await Task.Delay(10).ConfigureAwait(false);
        }
    }
}
