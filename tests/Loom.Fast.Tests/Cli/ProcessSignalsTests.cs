using System.Runtime.InteropServices;
using Loom.Cli;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class ProcessSignalsTests
{
    [Fact]
    public void Handle_SecondSignal_EndsTheProcess()
    {
        using var signals = new ProcessSignals();
        Cancelled(signals).ShouldBeTrue();
        signals.Stop.IsCancellationRequested.ShouldBeTrue();
        Cancelled(signals).ShouldBeFalse();
    }

    [Fact]
    public void Handle_VerbOwnsTheStop_SecondSignalIsLeftToIt()
    {
        using var signals = new ProcessSignals { VerbOwnsStop = true };
        Cancelled(signals).ShouldBeTrue();
        signals.Kill.IsCancellationRequested.ShouldBeFalse();
        Cancelled(signals).ShouldBeTrue();
        signals.Kill.IsCancellationRequested.ShouldBeTrue();
        Cancelled(signals).ShouldBeTrue();
    }

    private static bool Cancelled(ProcessSignals signals)
    {
        var context = new PosixSignalContext(PosixSignal.SIGINT);
        signals.Handle(context);
        return context.Cancel;
    }
}
