using System.Diagnostics;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

/// <summary>The adapter's own unit tests, run by Node's test runner.</summary>
public sealed class AdapterUnitTests
{
    [Fact(Timeout = 300_000)]
    public async Task NodeTests_All_Pass()
    {
        using var node = Process.Start(new ProcessStartInfo("node", ["--test", "test/"])
        {
            WorkingDirectory = await AdapterFolder.GetAsync(),
            RedirectStandardOutput = true,
        })!;
        var said = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();

        node.ExitCode.ShouldBe(0, said);
        said.ShouldContain("# fail 0");
    }
}
