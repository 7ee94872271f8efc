using Loom.Agents.Project;
using Loom.Cli.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Control;

public sealed class HostedSystemTests
{
    [Fact]
    public async Task Drain_AnotherIsInItsPlaceAlready_NothingHappens()
    {
        // A stop of the project walks a list that a moment later is no longer the one in force.
        var system = new HostedSystem(new SystemListing("/project/orders", null, Autostart: false), owner: null!, NullLogger.Instance);
        await system.DisposeAsync();

        system.Drain();
        await system.DrainAsync();

        system.Record.State.ShouldBe("stopped");
    }
}
