using System.Collections.Immutable;

namespace Loom.Agents.Project;

/// <summary>A dataflow system as <c>loom.toml</c> lists it.</summary>
/// <param name="Folder">Absolute.</param>
/// <param name="Deployment">Absolute; null: the one in its folder, where there is one.</param>
/// <param name="Autostart">Whether it starts with the project.</param>
public sealed record SystemListing(string Folder, string? Deployment, bool Autostart);

/// <summary>The dataflow systems of a run, for whoever steers it. Requests are carried out one after the other.</summary>
public interface IProjectSystems
{
    /// <summary>How all of them stand, in the order of <c>loom.toml</c>.</summary>
    ImmutableArray<SystemRecord> Records { get; }

    /// <summary>Starts one that does not run, and waits until it runs or has failed.</summary>
    /// <exception cref="InvalidOperationException">The project is stopping.</exception>
    Task StartAsync(string name, CancellationToken ct);

    /// <summary>Drains one and waits for its end.</summary>
    Task StopAsync(string name, CancellationToken ct);

    /// <summary>What <see cref="ApplyAsync"/> would do, by name.</summary>
    ImmutableArray<ControlChange> Drift(ImmutableArray<SystemListing> listed);

    /// <summary>Puts another list in force: what is new is started, what is gone is drained, what has another deployment is drained and started again; one that had failed is started again.</summary>
    /// <exception cref="InvalidOperationException">The project is stopping.</exception>
    Task<ImmutableArray<ControlChange>> ApplyAsync(ImmutableArray<SystemListing> listed, CancellationToken ct);
}
