using System.Text;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class ClockSourceTests
{
    [Fact]
    public async Task Generate_SameSeed_GivesTheSameEventsFromAnyPlace()
    {
        await using var stage = new Stage();
        var options = new GenerateOptions { Count = 50, Seed = 7, Keys = 3 };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(new GenerateSource(options)));
        all.Count.ShouldBe(50);
        all.Select(r => r.Key).Distinct().ShouldBe(["key-0", "key-1", "key-2"]);
        var later = new GenerateSource(options);
        await stage.SetUpAsync(later);
        await later.SeekAsync(Stage.Offsets(all.Take(20)), default);
        var rest = await Stage.ReadAsync(later);
        rest.Select(r => r.Data.GetRawText()).ShouldBe(all.Skip(20).Select(r => r.Data.GetRawText()));
        rest[0].Offset.ShouldBe(20);
    }

    [Fact]
    public async Task Generate_WithRate_KeepsPaceByTheClock()
    {
        var clock = new ManualTimeProvider();
        await using var stage = new Stage { Clock = clock };
        var source = await stage.SetUpAsync(new GenerateSource(new GenerateOptions { Count = 0, Rate = 10 }));
        (await Stage.ReadAsync(source, 1)).Count.ShouldBe(1);
        var second = source.ReadAsync(default, default).AsTask();
        second.IsCompleted.ShouldBeFalse();
        clock.Advance(TimeSpan.FromMilliseconds(100));
        (await second).Offset.ShouldBe(1);
        clock.Advance(TimeSpan.FromSeconds(1));
        (await Stage.ReadAsync(source, 10)).Count.ShouldBe(10); // what is late is made up for
        source.ReadAsync(default, default).AsTask().IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Generate_SoftStop_Ends()
    {
        await using var stage = new Stage { Clock = new ManualTimeProvider() };
        var source = await stage.SetUpAsync(new GenerateSource(new GenerateOptions { Count = 0, Rate = 0.001 }));
        await Stage.ReadAsync(source, 1);
        using var stop = new CancellationTokenSource();
        var waiting = source.ReadAsync(stop.Token, default).AsTask();
        await stop.CancelAsync();
        (await waiting.WaitAsync(TimeSpan.FromSeconds(180))).IsEnd.ShouldBeTrue();
    }

    [Fact]
    public async Task Timer_LateBySkip_TellsHowManyWereMissed()
    {
        var clock = new ManualTimeProvider();
        await using var stage = new Stage { Clock = clock };
        var source = await stage.SetUpAsync(new TimerSource(new TimerOptions { Every = TimeSpan.FromSeconds(1) }));
        var first = source.ReadAsync(default, default).AsTask();
        clock.Advance(TimeSpan.FromSeconds(1));
        (await first).Data.GetProperty("missed").GetInt64().ShouldBe(0);
        clock.Advance(TimeSpan.FromSeconds(5.5));
        var next = await source.ReadAsync(default, default);
        next.Data.GetProperty("missed").GetInt64().ShouldBe(4);
        next.Time.ShouldBe(DateTimeOffset.UnixEpoch.AddSeconds(6));
        source.ReadAsync(default, default).AsTask().IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Timer_CatchUpAfterARestart_MakesEachTickThatPassed()
    {
        var clock = new ManualTimeProvider();
        await using var stage = new Stage { Clock = clock };
        var options = new TimerOptions { Cron = "* * * * *", Missed = MissedTicks.CatchUp };
        var source = await stage.SetUpAsync(new TimerSource(options));
        var first = source.ReadAsync(default, default).AsTask();
        clock.Advance(TimeSpan.FromMinutes(1));
        (await first).Time.ShouldBe(DateTimeOffset.UnixEpoch.AddMinutes(1));
        var state = await Stage.SnapshotAsync(source);
        clock.Advance(TimeSpan.FromMinutes(3));
        var restarted = await stage.SetUpAsync(new TimerSource(options));
        await Stage.RestoreAsync(restarted, state!);
        (await Stage.ReadAsync(restarted, 3)).Select(r => (r.Time - DateTimeOffset.UnixEpoch).TotalMinutes).ShouldBe([2, 3, 4]);
        restarted.ReadAsync(default, default).AsTask().IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Timer_Count_Ends()
    {
        var clock = new ManualTimeProvider();
        await using var stage = new Stage { Clock = clock };
        var source = await stage.SetUpAsync(new TimerSource(new TimerOptions { Every = TimeSpan.FromSeconds(1), Count = 1 }));
        var first = source.ReadAsync(default, default).AsTask();
        clock.Advance(TimeSpan.FromSeconds(1));
        (await first).IsEnd.ShouldBeFalse();
        (await source.ReadAsync(default, default)).IsEnd.ShouldBeTrue();
    }

    [Fact]
    public async Task Stdin_LinesOfJson_BecomeEventsUntilItsEnd()
    {
        await using var stage = new Stage();
        var source = Stdin("{\"a\":1}\n\n{\"a\":2,\"mock\":true}\r\n[3]", new StdinOptions());
        await stage.SetUpAsync(source);
        var all = await Stage.ReadAsync(source);
        all.Select(r => r.Data.GetRawText()).ShouldBe(["{\"a\":1}", "{\"a\":2,\"mock\":true}", "[3]"]);
        all.Select(r => r.Mock).ShouldBe([false, true, false]);
    }

    [Fact]
    public async Task Stdin_BadLine_IsAnItemErrorAndReadingGoesOn()
    {
        await using var stage = new Stage();
        var source = Stdin("nonsense\n1\n", new StdinOptions());
        await stage.SetUpAsync(source);
        var all = await Stage.ReadAsync(source);
        (all[0].Error!.Code, all[0].Data.GetString()).ShouldBe(("bad_line", "nonsense"));
        all[0].Error!.Message.ShouldContain("line 1");
        all[1].Error.ShouldBeNull();
    }

    private static StdinSource Stdin(string text, StdinOptions options) =>
        new(options, NullLogger<StdinSource>.Instance) { Open = () => new MemoryStream(Encoding.UTF8.GetBytes(text)) };
}
