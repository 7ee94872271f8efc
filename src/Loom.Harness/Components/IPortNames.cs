namespace Loom.Harness.Components;

/// <summary>Options of a component whose port names follow from its config: the outputs of <c>route</c>, the inputs of <c>join</c>.</summary>
internal interface IPortNames
{
    /// <summary>Data inputs, or null for the ones of the component's base.</summary>
    IReadOnlyList<string>? InputNames { get; }

    /// <summary>Data outputs, or null for the ones of the component's base.</summary>
    IReadOnlyList<string>? OutputNames { get; }
}
