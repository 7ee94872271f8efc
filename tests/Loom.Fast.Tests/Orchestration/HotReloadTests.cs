using System.Collections.Concurrent;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Reload;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;
using static Loom.Fast.Tests.Orchestration.Plans;

namespace Loom.Fast.Tests.Orchestration;

public sealed class HotReloadTests
{
    private readonly ConcurrentQueue<string> _watches = new();
    private readonly ConcurrentDictionary<string, Action<string>> _changed = new();
    private readonly TaskCompletionSource _armed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Theory(Timeout = 60_000)]
    [InlineData("/p/a", "/a")]
    [InlineData("/p/a", "/a", "/more")]
    public async Task Apply_ChangeIsDue_ItIsNotLost(string before, params string[] after)
    {
        await using var supervisor = new FakeSupervisor();
        await using var host = new AgentHost(Project(Watching("a", before)), supervisor, NullLogger.Instance);
        await host.StartAsync(null, true, default);
        var time = new ManualTimeProvider();
        await using var reload = new HotReload(host, supervisor, time, NullLogger.Instance, Watch);
        while (!_changed.ContainsKey(before))
        {
            await Task.Yield();
        }

        _changed[before]("/p/a/x.py");
        await host.ApplyAsync(Project(Watching("a", [.. after.Select(p => "/p" + p)]), Watching("last", "/p/last")), default);
        await _armed.Task;
        var reloaded = host.WaitAsync(["a"], all => all[0].Process?.Spawns == 2, default);
        while (!reloaded.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        supervisor.Calls.ShouldContain("reload a");
        _watches.Count(p => p == before).ShouldBe(after.Length); // the same watch is not made anew, another one is
    }

    private static AgentPlan Watching(string name, params string[] paths) => Agent(name) with { Watch = new WatchPlan { Paths = [.. paths] } };

    private IAsyncDisposable Watch(string path, WatchFilter filter, Action<string> changed, Action<string, string> polls)
    {
        _watches.Enqueue(path);
        _changed[path] = changed;
        if (path == "/p/last")
        {
            _armed.TrySetResult();
        }

        return new MemoryStream();
    }
}
