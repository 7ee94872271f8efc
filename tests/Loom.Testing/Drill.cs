using System.Diagnostics;

namespace Loom.Testing;

/// <summary>
/// A failure drill: the same thing so many times, all of which must pass. Few times in every test run; as often as the specification asks with
/// <c>LOOM_DRILLS=full</c> (<c>./test drills</c>). Says how often it passed.
/// </summary>
public static class Drill
{
    public static bool Full { get; } = Environment.GetEnvironmentVariable("LOOM_DRILLS") == "full";

    /// <summary>Which of two counts, sizes or times applies now.</summary>
    public static int Count(int brief, int full) => Full ? full : brief;

    /// <summary>Runs a drill.</summary>
    /// <param name="name">What is printed.</param>
    /// <param name="brief">Repetitions in every run.</param>
    /// <param name="full">Repetitions the specification asks for.</param>
    /// <param name="once">One repetition, given its number from 0.</param>
    /// <param name="atOnce">How many run side by side.</param>
    /// <exception cref="TimeoutException">Not done within five minutes, or an hour in full.</exception>
    public static async Task RunAsync(string name, int brief, int full, Func<int, Task> once, int atOnce = 1)
    {
        var count = Count(brief, full);
        var passed = 0;
        var start = Stopwatch.GetTimestamp();
        try
        {
            await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (round, _) =>
            {
                await once(round).ConfigureAwait(false);
                Interlocked.Increment(ref passed);
            }).WaitAsync(TimeSpan.FromMinutes(Full ? 60 : 5)).ConfigureAwait(false);
        }
        finally
        {
            Report(name, passed, count, $"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        }
    }

    /// <summary>Prints the result of a drill that counts for itself.</summary>
    public static void Report(string name, int passed, int count, string remark = "") =>
        Console.WriteLine($"drill {name}: {passed} of {count}{(Full ? "" : ", brief")}{(remark.Length > 0 ? $" ({remark})" : "")}");
}
