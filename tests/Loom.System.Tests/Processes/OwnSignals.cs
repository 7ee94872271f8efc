using Loom.SystemTests.Processes;
using Loom.Testing;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestPipelineStartup(typeof(OwnSignals))]

namespace Loom.SystemTests.Processes;

/// <summary>
/// A shell that starts the tests in the background has them ignore Ctrl+C, and whoever is started by one that ignores a signal ignores it too. The programs under test are to
/// hear it all the same.
/// </summary>
public sealed class OwnSignals : ITestPipelineStartup
{
    public ValueTask StartAsync(IMessageSink diagnosticMessageSink)
    {
        Signals.HearAgain(Signals.Int);
        return ValueTask.CompletedTask;
    }

    public ValueTask StopAsync() => ValueTask.CompletedTask;
}
