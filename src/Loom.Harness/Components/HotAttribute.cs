namespace Loom.Harness.Components;

/// <summary>A key that may be changed while the component runs, by the control operation <c>set_config</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class HotAttribute : Attribute;
