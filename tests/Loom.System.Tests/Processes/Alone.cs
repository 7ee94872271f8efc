using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Tests that count this program's own descriptors, threads or memory, or look for orphans: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
