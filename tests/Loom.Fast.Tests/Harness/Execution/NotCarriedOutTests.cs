using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class NotCarriedOutTests
{
    [Fact]
    public void In_SystemOfWhatExists_FindsNothing() => NotCarriedOut.In(Plan(b => b)).ShouldBeEmpty();

    [Theory]
    [InlineData("feedback")]
    public void In_SystemThatAsksForMore_SaysWhatAndWhere(string asked)
    {
        var plan = Plan(b => asked switch
        {
            "feedback" => b with { Feedback = true, MaxInFlight = 5 },
            _ => b,
        });
        var finding = NotCarriedOut.In(plan).ShouldHaveSingleItem();
        finding.Code.ShouldBe("LH226");
        finding.Message.ShouldContain(asked);
    }

    private static SystemPlan Plan(Func<BindingPlan, BindingPlan> shape) =>
        new HarnessBuilder("system").Add("numbers", () => new Numbers(1)).Add("keep", () => new Keep([])).Bind("numbers.out", "keep.in", shape).Plan("/system");
}
