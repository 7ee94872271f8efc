namespace Loom.Harness.Expressions.Functions;

/// <summary><c>abs floor ceil round</c>; the kind of the number stays.</summary>
internal static class NumberFunctions
{
    public static IReadOnlyList<Function> All { get; } =
    [
        Function.Of("abs", Style.Global, Kind.Int, Kind.Int, static (in a) => a.Int < 0 ? Operators.Negate(a) : a),
        Function.Of("abs", Style.Global, Kind.Double, Kind.Double, static (in a) => Value.Of(Math.Abs(a.Double))),
        Function.Of("floor", Style.Global, Kind.Int, Kind.Int, static (in a) => a),
        Function.Of("floor", Style.Global, Kind.Double, Kind.Double, static (in a) => Value.Of(Math.Floor(a.Double))),
        Function.Of("ceil", Style.Global, Kind.Int, Kind.Int, static (in a) => a),
        Function.Of("ceil", Style.Global, Kind.Double, Kind.Double, static (in a) => Value.Of(Math.Ceiling(a.Double))),
        Function.Of("round", Style.Global, Kind.Int, Kind.Int, static (in a) => a),
        Function.Of("round", Style.Global, Kind.Double, Kind.Double, static (in a) => Value.Of(Math.Round(a.Double, MidpointRounding.AwayFromZero))),
        Function.Of("round", Style.Global, Kind.Double, Kind.Int, Kind.Double, static (in a, in b) => b.Int is >= 0 and <= 15
            ? Value.Of(Math.Round(a.Double, (int)b.Int, MidpointRounding.AwayFromZero))
            : Value.Error("round() keeps 0 to 15 digits")),
        Function.Of("round", Style.Global, Kind.Int, Kind.Int, Kind.Int, static (in a, in _) => a),
    ];
}
