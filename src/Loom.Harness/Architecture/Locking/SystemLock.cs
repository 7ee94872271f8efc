using Loom.Core.Storage;
using Loom.Harness.Architecture.Checks;

namespace Loom.Harness.Architecture.Locking;

/// <summary>What comparing a system with its lock led to.</summary>
/// <param name="Plan">The plan with every chain in the order of the lock; null when anything differs.</param>
/// <param name="Findings">Every difference, or that there is no lock.</param>
/// <param name="Lock">What the files give now; null when an input cannot be read.</param>
internal sealed record LockVerdict(SystemPlan? Plan, IReadOnlyList<Finding> Findings, LockContent? Lock);

/// <summary><c>build.lock</c> of a system: computing, writing, and holding a run to it.</summary>
internal static class SystemLock
{
    private const long MaxLockBytes = 64 << 20;

    /// <summary>Compares the system with its lock. A run starts only where nothing differs.</summary>
    /// <param name="loaded">A system without errors.</param>
    /// <param name="files">Where the files are.</param>
    public static LockVerdict Verify(LoadResult loaded, ISystemFiles files)
    {
        var findings = new FindingList();
        var now = Compute(loaded, files, findings);
        if (now is null)
        {
            return new LockVerdict(null, findings.Sorted(), null);
        }

        var read = files.Read(Path.Combine(loaded.Plan!.Directory, LockContent.FileName), MaxLockBytes);
        if (read.Content is not { } content)
        {
            findings.Error(Codes.NoLock, LockContent.FileName, 0, 0, read.Missing ? "the system is not locked; run: loom harness lock" : $"the lock cannot be read: {read.Problem}");
            return new LockVerdict(null, findings.Sorted(), now);
        }

        LockContent locked;
        try
        {
            locked = LockContent.Parse(content);
        }
        catch (FormatException e)
        {
            findings.Error(Codes.BadLock, LockContent.FileName, 0, 0, $"this is no lock: {e.Message}; run: loom harness lock");
            return new LockVerdict(null, findings.Sorted(), now);
        }

        LockComparison.Run(locked, now, findings);
        return new LockVerdict(findings.HasErrors ? null : Ordered(loaded.Plan!, locked), findings.Sorted(), now);
    }

    /// <summary>The lock as the files are now; null with a finding when an input cannot be read.</summary>
    public static LockContent? Compute(LoadResult loaded, ISystemFiles files, FindingList findings) =>
        new LockBuilder(files, findings).Build(loaded.Planned ?? throw new InvalidOperationException("the system was not read"), loaded.DeploymentFile);

    /// <summary>Writes a lock, whole or not at all.</summary>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public static void Write(string directory, LockContent content) =>
        DurableFile.Write(Path.Combine(directory, LockContent.FileName), content.ToBytes(), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

    // Execution order is the lock's word. A deployment may have switched a capability off; what it left stands in the agreed order.
    private static SystemPlan Ordered(SystemPlan plan, LockContent locked) => plan with
    {
        Components = [.. plan.Components.Select(c => c with { Capabilities = Ordered(c, locked.Components[c.Name]) })],
    };

    private static IReadOnlyList<CapabilityPlan> Ordered(ComponentPlan component, LockedComponent locked)
    {
        var byName = component.Capabilities.ToDictionary(c => c.Name, StringComparer.Ordinal);
        return [.. locked.Chain.Where(c => byName.ContainsKey(c.Name)).Select(c => byName[c.Name])];
    }
}
