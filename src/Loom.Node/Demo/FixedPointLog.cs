using System.Numerics;

namespace Loom.Node.Demo;

/// <summary>Natural logarithm in integers, because the floating-point one may differ in its last bit between platforms and the demo file must not.</summary>
internal static class FixedPointLog
{
    /// <summary>Fractional bits of a result.</summary>
    public const int FractionBits = 24;

    private const long Ln2 = 11629080; // ln 2 in units of 2^-24, rounded

    /// <summary>ln <paramref name="value"/> in units of 2^-24, off by less than 2^-18.</summary>
    /// <param name="value">At least 1.</param>
    public static long Of(ulong value)
    {
        ArgumentOutOfRangeException.ThrowIfZero(value);
        var exponent = BitOperations.Log2(value);
        var mantissa = (value << (63 - exponent)) >> 32; // 1 ≤ mantissa < 2 in units of 2^-31
        long log2 = exponent;
        for (var bit = 0; bit < FractionBits; bit++)
        {
            mantissa = (mantissa * mantissa) >> 31;
            log2 <<= 1;
            if (mantissa >> 32 != 0)
            {
                log2 |= 1;
                mantissa >>= 1;
            }
        }

        return (log2 * Ln2) >> FractionBits;
    }
}
