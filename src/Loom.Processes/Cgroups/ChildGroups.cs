using System.Collections.Immutable;
using Loom.Processes.Spawning;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Cgroups;

/// <summary>Gives children groups of their own and their limits, as far as <see cref="SupervisorOptions.Cgroup"/> asks for it and the system allows it.</summary>
internal sealed partial class ChildGroups
{
    private readonly CgroupUse _use;
    private readonly ILogger _logger;
    private readonly RunGroup? _run;

    /// <exception cref="IOException">Groups are required and cannot be made.</exception>
    internal ChildGroups(SupervisorOptions options)
    {
        _use = options.Cgroup;
        _logger = options.Logger;
        if (_use == CgroupUse.Off)
        {
            return;
        }

        var support = options.CgroupFolder is { } folder ? CgroupSupport.Look(folder) : CgroupSupport.Look();
        var trouble = support.Trouble;
        _run = trouble is null ? RunGroup.Make(support.Folder!, options.RunId, out trouble) : null;
        if (_run is null && _use == CgroupUse.Required)
        {
            throw new IOException($"cgroups are required (runtime.cgroup) and cannot be made: {trouble}");
        }
    }

    /// <summary>Folder of the run's groups; null when there are none.</summary>
    internal string? Folder => _run?.Folder;

    /// <summary>Makes the child's group and sets its limits, before it is spawned.</summary>
    /// <returns>Null when there are no groups, or it needs none.</returns>
    /// <exception cref="SpawnException">Groups are required and something is refused.</exception>
    internal ChildGroup? Prepare(ProcessPlan plan)
    {
        ChildGroup? group = null;
        var refused = ImmutableArray<string>.Empty;
        try
        {
            group = Wants(plan) ? _run?.Child(plan.Name) : null;
            refused = group is null ? [] : group.Limit(plan.Limits ?? new ProcessLimits(), _run!.Controllers);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refused = [e.Message];
        }

        if (plan.Limits is { } limits)
        {
            refused = refused.AddRange(Unheld(limits));
        }

        if (refused.IsEmpty)
        {
            return group;
        }

        var text = string.Join("; ", refused);
        if (_use == CgroupUse.Required)
        {
            throw new SpawnException($"cgroups are required (runtime.cgroup), but for '{plan.Name}' this is refused: {text}", permanent: true);
        }

        LogRefused(_logger, plan.Name, text);
        return group;
    }

    /// <summary>The memory limit that nobody but us watches; null when there is none, or the kernel holds it.</summary>
    internal long? WatchedMemory(ProcessPlan plan) => Holds("memory") ? null : plan.Limits?.MemoryBytes;

    /// <summary>Removes what is empty.</summary>
    internal void Remove() => _run?.Remove();

    // Entering a group costs the kernel 10 to 20 ms, at each start: who has no limit is spared it, unless groups were asked for.
    private bool Wants(ProcessPlan plan) =>
        _use == CgroupUse.Required || plan.Limits is { MemoryBytes: not null } or { Pids: not null } or { Cpu: not null };

    private bool Holds(string controller) => _run?.Controllers.Contains(controller) == true;

    private IEnumerable<string> Unheld(ProcessLimits limits)
    {
        if (limits.Pids is not null && !Holds("pids"))
        {
            yield return "limits.pids needs a writable cgroup with the pids controller";
        }

        if (limits.Cpu is not null && !Holds("cpu"))
        {
            yield return "limits.cpu needs a writable cgroup with the cpu controller";
        }

        if (_use == CgroupUse.Required && limits.MemoryBytes is not null && !Holds("memory"))
        {
            yield return "limits.memory needs a writable cgroup with the memory controller";
        }
    }

    [LoggerMessage(EventId = 2050, Level = LogLevel.Warning, Message = "{Name} runs without some of its limits: {Refused}")]
    private static partial void LogRefused(ILogger logger, string name, string refused);
}
