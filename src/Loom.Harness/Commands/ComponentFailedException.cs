namespace Loom.Harness.Commands;

/// <summary>A component is beyond what its restarts allow: no fault of the event in hand, so it passes item handling and ends the component.</summary>
internal sealed class ComponentFailedException(string message) : Exception(message);
