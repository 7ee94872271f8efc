using System.Net;
using Loom.Cli;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Fast.Tests.Node;
using Loom.Node;
using Loom.Node.Engines;
using Loom.Node.Provisioning;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

/// <summary>Decisions of <c>up</c> and <c>status</c> that need no process.</summary>
public sealed class UpTests
{
    [Theory]
    [InlineData("serving.bind", "127.0.0.1:8080", "loom up --set serving.bind=127.0.0.1:8081")]
    [InlineData("serving.bind", "0.0.0.0:8080", "loom up --set serving.bind=0.0.0.0:8081")]
    [InlineData("serving.bind", "[::1]:65535", "loom up --set serving.bind=[::1]:0")]
    [InlineData("telemetry.metrics_port", "127.0.0.1:18777", "loom up --set telemetry.metrics_port=18778")]
    [InlineData("telemetry.metrics_port", "127.0.0.1:65535", "loom up --set telemetry.metrics_port=0")]
    public void PortRemedy_OfASetting_IsAValueItTakes(string setting, string taken, string remedy) =>
        PortRemedy.For(setting, IPEndPoint.Parse(taken)).ShouldBe(remedy);

    [Fact]
    public void ExitOf_FailuresOfOneKind_IsTheirs()
    {
        var other = Failed(ProvisionExit.NotFound);
        UpScreen.ExitOf([Failed(ProvisionExit.Checksum), Failed(ProvisionExit.Checksum)]).ShouldBe(ExitCode.Integrity);
        UpScreen.ExitOf([Failed(ProvisionExit.Download)]).ShouldBe(ExitCode.Transient);
        UpScreen.ExitOf([Failed(ProvisionExit.Download), Failed(ProvisionExit.Checksum)]).ShouldBe(ExitCode.Failed);
        UpScreen.ExitOf([Failed(ProvisionExit.Download), other]).ShouldBe(ExitCode.Failed);
        UpScreen.ExitOf([other]).ShouldBe(ExitCode.Failed);
    }

    [Theory]
    [InlineData("up -d --no-logs", "up --no-logs --in-background")]
    [InlineData("up --detach true --json", "up --json --in-background")]
    [InlineData("-C true up --detach", "-C true up --in-background")]
    public void Detached_Arguments_AreTheSameWithoutTheWish(string given, string launched)
    {
        using var signals = new ProcessSignals();
        var root = CommandLine.CreateRoot(signals);
        var detach = root.Subcommands.Single(c => c.Name == "up").Options.Single(o => o.Name == "--detach");
        string.Join(' ', DetachedUp.Arguments(root.Parse(given.Split(' ')), detach)).ShouldBe(launched);
    }

    [Fact]
    public void LossyWriter_PlaceIsGone_DropsAndGoesOn()
    {
        using var writer = new LossyWriter(new ClosedTerminal());
        writer.WriteLine("stopping");
        writer.WriteLine($"pid {1}");
        writer.WriteLine();
        writer.Write("x");
        writer.Write('x');
        writer.Flush();
    }

    [Fact]
    public void LossyWriter_PlaceIsThere_PassesOn()
    {
        using var inner = new StringWriter();
        using var writer = new LossyWriter(inner);
        writer.WriteLine("a");
        writer.Write($"{1}");
        writer.Write('b');
        inner.ToString().ShouldBe($"a{Environment.NewLine}1b");
    }

    private static ReplicaStatus Failed(ProvisionExit exit)
    {
        var machine = new EngineMachine(new EngineRestartPolicy());
        var failed = machine.Step(new EngineState.Provisioning(1, null, null), new EngineEvent.PrepareFailed("x", Transient: false, exit)).State;
        return ReplicaView.Of(new ReplicaId("local", "chat", "r0"), Fixtures.Pool(), failed);
    }

    private sealed class ClosedTerminal : StringWriter
    {
        public override void Write(char value) => throw new IOException("Input/output error");

        public override void Write(string? value) => throw new IOException("Input/output error");

        public override void WriteLine() => throw new IOException("Input/output error");

        public override void WriteLine(string? value) => throw new IOException("Input/output error");

        public override void Flush() => throw new IOException("Input/output error");
    }
}
