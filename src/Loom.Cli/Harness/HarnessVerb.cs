using System.CommandLine;
using Loom.Cli.Verbs;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness</c>: typed dataflow systems.</summary>
internal static class HarnessVerb
{
    /// <param name="signals">Who asks a run to stop.</param>
    public static Command Create(ProcessSignals signals)
    {
        var harness = new Command("harness", "Check, lock, look at and run dataflow systems")
        {
            NewSystemVerb.Create(),
            CheckVerb.Create(),
            LockVerb.Create(),
            TestVerb.Create(),
            HarnessRunVerb.Run(signals),
            HarnessRunVerb.Resume(signals),
            RunningVerbs.Ps(),
            RunningVerbs.Tap(),
            RunningVerbs.Drain(),
            GraphVerb.Create(),
            ComponentsVerb.Create(),
            CheckpointsVerb.Create(),
            DeadLettersVerb.Create(),
            ConformVerb.Create(),
            BenchVerb.Create(),
        };
        Examples.Set(harness, ["loom harness new first", "loom harness check first", "loom harness run first", "loom harness components jsonl"]);
        return harness;
    }
}
