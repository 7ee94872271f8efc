using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>
/// The failures of the specification that no other test provokes. Row by row:
/// <list type="table">
/// <item><term>engine crashes before the first token, mid-stream</term><description>Gateway/FailureTests Engine_Dies…, Node/NodeAgentTests Kill_, Crash_</description></item>
/// <item><term>node agent killed</term><description>ClusterTests Agent_KilledHard_</description></item>
/// <item><term>control plane restarts</term><description>ClusterTests ControlPlane_KilledAndStarted_, Tasks/TaskRestartTests</description></item>
/// <item><term>loom up killed</term><description>Runtime/UpTests Killed_TwentyRounds_, Processes/KillDrills</description></item>
/// <item><term>network split</term><description>here; Node_StoppedAndContinued_ of ClusterTests without a stream</description></item>
/// <item><term>clock jump, suspend</term><description>fast Nodes/NodeRegistryTests (mass loss, late check), Processes/ClockDrills</description></item>
/// <item><term>torn, rewritten handoff file</term><description>Handoff/HandoffTests HalfAFile_, BadFiles_, AutoDeleteOff_</description></item>
/// <item><term>disk full</term><description>Handoff/ProvisionerExitTests …_Is6_, Tasks/TaskRestartTests Journal_CannotBeWritten_, fast Storage/JournalTests</description></item>
/// <item><term>port taken at start</term><description>Runtime/UpTests Up_PortTaken_; here for the ports of a part alone</description></item>
/// <item><term>engine port taken</term><description>Node/NodeAgentTests Start_FirstPortTaken_, Crash_PortTakenMeanwhile_</description></item>
/// <item><term>slow client, disconnect in four phases</term><description>Gateway/CancelTests; ClusterTests Cancel_ThroughTwoHops_</description></item>
/// <item><term>engine silent, malformed events</term><description>Gateway/FailureTests Engine_Silent…, Gateway/RouteTests Stream_EventsThatBreak…, Node/HungEngineTests</description></item>
/// <item><term>provider 429 or 5xx</term><description>Gateway/FailureTests Provider_429_, Engine_Answers5xx_</description></item>
/// <item><term>a background loop faults</term><description>LoopFaultTests, Gateway/ApiTests Health_PartFailed_</description></item>
/// </list>
/// </summary>
public sealed class FailureTableTests
{
    private const int Stop = 19;
    private const int Continue = 18;

    [Fact(Timeout = 300_000)]
    public async Task Split_WithARunningStream_ClientIsToldAndTheEngineIsFreedAfterwards()
    {
        await using var world = new ClusterWorld();
        await world.StartControlAsync();
        await using var one = await world.StartNodeAsync("one", ClusterWorld.Mock(1, "\"--tokens-per-second\", \"10\""));
        await world.UntilAsync("one", "online", ready: true);
        using var stream = await world.ChatAsync(stream: true, tokens: 4000);
        stream.StatusCode.ShouldBe(HttpStatusCode.OK);
        await using var body = await stream.Content.ReadAsStreamAsync();
        (await body.ReadAsync(new byte[64])).ShouldBeGreaterThan(0);

        one.Signal(Stop);
        await world.UntilAsync("one", "offline");

        // The stream ends by itself, with an error and never with the mark of a good end.
        var rest = await EndOfAsync(body).WaitAsync(TimeSpan.FromSeconds(120));
        rest.ShouldNotContain("[DONE]");
        rest.ShouldContain("\"error\"");

        one.Signal(Continue);
        await world.UntilAsync("one", "online", ready: true);
        await ClusterWorld.WaitAsync(
            async () =>
            {
                using var chat = await world.ChatAsync(stream: false, 3);
                return chat.StatusCode == HttpStatusCode.OK;
            },
            "the only slot serves again: the engine has given up the stream that was cut");
    }

    [Theory]
    [InlineData("queen-rbee", "serving.bind", "ORCHESTRATORD_BIND_ADDR")]
    [InlineData("queen-rbee", "telemetry.metrics_port", "PROMETHEUS_METRICS_PORT")]
    [InlineData("pool-managerd", "serving.node.bind", "POOL_MANAGERD_BIND_ADDR")]
    [InlineData("pool-managerd", "telemetry.metrics_port", "PROMETHEUS_METRICS_PORT")]
    public async Task Port_TakenAtStart_NamesSettingAndHolder(string verb, string key, string variable)
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], ClusterWorld.Mock(1));
        using var holder = new TcpListener(IPAddress.Loopback, 0);
        holder.Start();
        var port = ((IPEndPoint)holder.LocalEndpoint).Port;
        var taken = variable.EndsWith("_PORT", StringComparison.Ordinal) ? port.ToString(CultureInfo.InvariantCulture) : $"127.0.0.1:{port}";

        var (exit, _, err) = await RunningLoom.RunAsync(folder.Path, [verb], [("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"), (variable, taken)]);

        exit.ShouldBe(2, err);
        err.ShouldContain($"port {port} ({key}, {variable}) is in use by pid {Environment.ProcessId}");
        err.ShouldContain($"loom {verb} --set {key}=");
    }

    private static async Task<string> EndOfAsync(Stream body)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (await body.ReadAsync(buffer) is > 0 and var read)
            {
                text.Append(Encoding.UTF8.GetString(buffer.AsSpan(0, read)));
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // Cut: that is how a stream ends that did not come to its end.
        }

        return text.ToString();
    }
}
