using System.Globalization;

namespace Loom.Core.Settings;

/// <summary>Texts with units: durations in whole milliseconds, sizes in whole bytes. Decimal arithmetic, so that 0.1 s is 100 ms.</summary>
public static class Units
{
    private static readonly (string Name, decimal Factor)[] s_sizes =
    [
        ("KiB", 1024m), ("MiB", 1048576m), ("GiB", 1073741824m), ("TiB", 1099511627776m),
        ("kB", 1000m), ("MB", 1000000m), ("GB", 1000000000m), ("TB", 1000000000000m), ("B", 1m),
    ];

    /// <summary>Milliseconds in one <paramref name="unit"/>; 0 for an unknown one.</summary>
    public static decimal Milliseconds(ReadOnlySpan<char> unit) => unit switch
    {
        "ms" => 1m,
        "s" => 1000m,
        "m" => 60000m,
        "h" => 3600000m,
        "d" => 86400000m,
        _ => 0m,
    };

    /// <summary>Bytes in one <paramref name="unit"/>, any case; 0 for an unknown one.</summary>
    public static decimal Bytes(ReadOnlySpan<char> unit)
    {
        foreach (var (name, factor) in s_sizes)
        {
            if (unit.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return factor;
            }
        }

        return 0m;
    }

    /// <summary>Reads a duration: a bare number in <paramref name="unit"/>, or parts with units, the largest first. Null when it is neither.</summary>
    public static decimal? Duration(string text, string unit)
    {
        var rest = text.AsSpan();
        if (Number(rest) is { } bare)
        {
            return Product(bare, Milliseconds(unit));
        }

        var total = 0m;
        var last = decimal.MaxValue;
        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0)
            {
                return null;
            }

            var end = rest[digits..].IndexOfAny("0123456789.");
            var name = end < 0 ? rest[digits..] : rest.Slice(digits, end);
            var factor = Milliseconds(name);
            if (factor == 0 || factor >= last || Number(rest[..digits]) is not { } number || Product(number, factor) is not { } part)
            {
                return null;
            }

            last = factor;
            total += part;
            rest = end < 0 ? [] : rest[(digits + end)..];
        }

        return text.Length == 0 ? null : total;
    }

    /// <summary>Reads a size in bytes: a bare number in <paramref name="unit"/>, or a number with a unit. Null when it is neither.</summary>
    public static decimal? Size(string text, string unit)
    {
        var digits = text.AsSpan().IndexOfAnyExcept("0123456789.");
        return digits < 0
            ? Number(text) is { } bare ? Product(bare, Bytes(unit)) : null
            : Number(text.AsSpan(0, digits)) is { } number && Bytes(text.AsSpan(digits).Trim()) is > 0 and var factor ? Product(number, factor) : null;
    }

    /// <summary>A plain decimal number without sign or exponent.</summary>
    public static decimal? Number(ReadOnlySpan<char> text) =>
        !text.IsEmpty && char.IsAsciiDigit(text[0]) && char.IsAsciiDigit(text[^1])
        && decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    // Far beyond any range, and small enough for every sum here.
    private static decimal? Product(decimal number, decimal factor) => number > 1e15m ? null : number * factor;
}
