namespace Loom.Harness.Expressions;

/// <summary>The kinds of values an expression knows.</summary>
internal enum Kind : byte
{
    /// <summary>Only while checking: known at run time alone, as everything below <c>data</c> is.</summary>
    Any,
    Null,
    Bool,

    /// <summary>64 bits with a sign; overflow is an error.</summary>
    Int,
    Double,
    String,
    Timestamp,
    Duration,
    List,

    /// <summary>Fields by name.</summary>
    Map,

    /// <summary>Only at run time: an error on its way up, so that <c>||</c> and <c>has</c> may ignore it and nothing is thrown on the way.</summary>
    Error,
}

/// <summary>How kinds are called in messages.</summary>
internal static class KindNames
{
    public static string Name(this Kind kind) => kind switch
    {
        Kind.Any => "any value",
        Kind.Null => "null",
        Kind.Bool => "a bool",
        Kind.Int => "an int",
        Kind.Double => "a double",
        Kind.String => "a string",
        Kind.Timestamp => "a timestamp",
        Kind.Duration => "a duration",
        Kind.List => "a list",
        Kind.Map => "a map",
        _ => "an error",
    };

    public static bool IsNumber(this Kind kind) => kind is Kind.Int or Kind.Double;
}
