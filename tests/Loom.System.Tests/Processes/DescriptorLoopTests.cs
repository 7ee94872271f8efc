using Loom.Processes.Watching;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

public sealed class DescriptorLoopTests
{
    [Fact]
    public async Task Post_RunsOnTheLoop()
    {
        using var loop = new DescriptorLoop(NullLogger.Instance);
        var ran = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        loop.Post(ran.SetResult);
        await ran.Task.WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
    }

    // A continuation may run where its task was completed: on the loop's thread, which must not wait for itself.
    [Fact]
    public async Task Dispose_OnTheLoop_Ends()
    {
        var loop = new DescriptorLoop(NullLogger.Instance);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        loop.Post(() =>
        {
            loop.Dispose();
            ended.SetResult();
        });
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
        loop.Dispose();
    }

    [Fact]
    public void Add_OfWhatCannotBeWatched_ThrowsAndKeepsNothing()
    {
        using var loop = new DescriptorLoop(NullLogger.Instance);
        using var file = File.OpenHandle("/proc/self/exe"); // a plain file is always readable: epoll refuses it
        Should.Throw<IOException>(() => loop.Add(file, new Loom.Processes.Probes.ExitSignal()));
        loop.Count.ShouldBe(0);
        file.IsClosed.ShouldBeFalse();
    }

    // The timer of a child's last output may fire after everything is over.
    [Fact]
    public void Post_AfterTheEnd_DoesNothing()
    {
        var loop = new DescriptorLoop(NullLogger.Instance);
        loop.Dispose();
        Should.NotThrow(() => loop.Post(() => throw new InvalidOperationException("ran after the end")));
        Should.NotThrow(() => loop.Remove(7));
    }
}
