using Loom.Harness.Architecture;

namespace Loom.Harness.Components.Classes;

/// <summary>The types of a project or an assembly, or why there are none.</summary>
/// <param name="Types">Null after a problem.</param>
/// <param name="Code">Code of the problem.</param>
/// <param name="Problem">What stands in the way and what to do.</param>
internal sealed record ClassHome(IReadOnlyList<Type>? Types, string Code, string Problem);

/// <summary>Where classes of users come from.</summary>
internal interface IClassSource
{
    /// <summary>The types of the home that <paramref name="uses"/> names.</summary>
    ClassHome Open(UsesPlan uses);
}
