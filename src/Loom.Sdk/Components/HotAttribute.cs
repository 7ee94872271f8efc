namespace Loom.Components;

/// <summary>
/// A key of an options record that may be changed while its component runs, by the control operation <c>set_config</c>; the component takes the change in
/// <see cref="Component.ReconfigureAsync"/>. Only keys of the record itself, not of records within it.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class HotAttribute : Attribute;
