using Loom.Node.Demo;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Demo;

public sealed class FixedPointLogTests
{
    [Fact]
    public void Of_PowersAndPrimes_IsCloseToTheRealLogarithm()
    {
        for (ulong value = 1; value < 1UL << 40; value = (value * 3) + 1)
        {
            var real = Math.Log(value);
            var ours = FixedPointLog.Of(value) / (double)(1 << FixedPointLog.FractionBits);
            ours.ShouldBe(real, 1.0 / (1 << 18), $"ln {value}");
        }
    }

    [Fact]
    public void Of_Zero_Throws() => Should.Throw<ArgumentOutOfRangeException>(() => FixedPointLog.Of(0));
}
