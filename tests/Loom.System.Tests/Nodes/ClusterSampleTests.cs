using System.Diagnostics;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>The sample of a cluster as a user runs it.</summary>
public sealed class ClusterSampleTests
{
    [Theory]
    [InlineData("loopback")]
    [InlineData("namespaces")]
    public async Task Sample_Cluster_BothNodesAnswerAndNothingIsLeft(string mode)
    {
        using var folder = new TempFolder();
        var sample = Path.Combine(Repository.Root, "samples", "cluster", "cluster");
        var info = new ProcessStartInfo("bash") { RedirectStandardOutput = true, RedirectStandardError = true, ArgumentList = { sample } };
        foreach (var (name, value) in new[]
                 {
                     ("LOOM", RunningLoom.Program), ("CLUSTER_MODE", mode), ("CLUSTER_DIR", folder.Path), ("CLUSTER_PORT", FreePorts.NextText()), ("CLUSTER_NODE_PORT", FreePorts.NextText()),
                     ("ORCHESTRATOR_MOCK_MODE", "true"),
                 })
        {
            info.Environment[name] = value;
        }

        using var process = Process.Start(info)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(3));

        var text = await output;
        process.ExitCode.ShouldBe(0, text + await error);
        text.ShouldContain("answered by node-1");
        text.ShouldContain("answered by node-2");
        text.ShouldContain("online");
    }
}
