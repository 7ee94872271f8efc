namespace Loom.Processes;

/// <summary>Whether children get cgroups (v2) of their own.</summary>
public enum CgroupUse
{
    /// <summary>Never.</summary>
    Off,

    /// <summary>For processes with a limit that needs one, where the group this program runs in may be divided; else limits fall back to what works without.</summary>
    Auto,

    /// <summary>For every process, which nothing of it can leave; a supervisor that cannot make them refuses to start, and so does a process with a limit that cannot be set.</summary>
    Required,
}
