using System.Collections.Immutable;
using Loom.Processes.Native;
using Loom.Processes.Spawning;
using Loom.Processes.Table;

namespace Loom.Processes.Supervision;

/// <summary>The last step of stopping everything: ends what no child accounts for, until two looks in a row find nothing.</summary>
/// <param name="census">An own look at the system.</param>
/// <param name="adopts">Whether orphans of our children are ours.</param>
/// <param name="clock">Clock.</param>
/// <param name="time">The same, for waiting.</param>
internal sealed class Sweep(Census census, bool adopts, SteadyClock clock, TimeProvider time)
{
    /// <summary>Ends what carries our mark, was adopted, or is listed in <paramref name="known"/>.</summary>
    /// <returns>What could not be ended.</returns>
    internal async Task<ImmutableArray<string>> RunAsync(HashSet<ProcessIdentity> known, CancellationToken cancellationToken)
    {
        var deadline = clock.Now + ChildMachine.KillPatience;
        for (var quiet = 0; ;)
        {
            census.Take();
            var left = census.Table.Entries.Where(e => e.Alive && known.Contains(e.Identity))
                .Concat(census.AllMarked())
                .Concat(adopts ? census.Adopted().Where(e => e.Alive) : [])
                .DistinctBy(e => e.Pid)
                .ToList();
            foreach (var zombie in adopts ? census.Adopted().Where(e => !e.Alive) : [])
            {
                Children.ReapAdopted(zombie.Pid);
            }

            quiet = left.Count == 0 ? quiet + 1 : 0;
            if (quiet == 2)
            {
                return [];
            }

            if (clock.Now >= deadline)
            {
                return [.. left.Select(e => $"{e.Pid} ({ProcFile.NameOf(e.Pid)})")];
            }

            left.ForEach(e => Signals.Send(e.Identity, Linux.SigKill));
            if (left.Count > 0)
            {
                await Task.Delay(ChildMachine.CountEvery, time, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
