using System.Net;
using Loom.Control;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Control.Placement;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Testing;
using Loom.Testing.Settings;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

/// <summary>The small pure choices of the control plane.</summary>
public sealed class DecisionTests
{
    [Fact]
    public void RoundRobin_Turns_VisitEachInTurn()
    {
        Candidate[] three = [new(0, 4, 0), new(1, 4, 3), new(2, 4, 0)];

        Enumerable.Range(0, 6).Select(turn => new RoundRobin().Choose(three, (uint)turn)).ShouldBe([0, 1, 2, 0, 1, 2]);
    }

    [Fact]
    public void LeastLoaded_ShareOfFreeSlots_ThenFewestLeases_ThenOrder()
    {
        var policy = new LeastLoaded();

        policy.Choose([new(0, 4, 2), new(1, 8, 2), new(2, 2, 1)], 0).ShouldBe(1);
        policy.Choose([new(0, 8, 4), new(1, 2, 1), new(2, 4, 2)], 0).ShouldBe(1);
        policy.Choose([new(0, 4, 1), new(1, 4, 1)], 0).ShouldBe(0);
    }

    [Fact]
    public void UniformRandom_SameSeed_SameChoices_AllReached()
    {
        Candidate[] three = [new(0, 1, 0), new(1, 1, 0), new(2, 1, 0)];
        List<int> Draw(int seed)
        {
            var policy = new UniformRandom(new Random(seed));
            return [.. Enumerable.Range(0, 50).Select(_ => policy.Choose(three, 0))];
        }

        Draw(3).ShouldBe(Draw(3));
        Draw(3).Distinct().Count().ShouldBe(3);
    }

    [Fact]
    public void Strategies_Names_AreTheirOwn()
    {
        foreach (var kind in Enum.GetValues<PlacementKind>().Where(k => k != PlacementKind.PrefixAffinity))
        {
            PlacementStrategies.Names.ShouldContain(PlacementStrategies.Create(kind, new Random(1)).Name);
        }

        Should.Throw<NotSupportedException>(() => PlacementStrategies.Create(PlacementKind.PrefixAffinity, new Random(1))).Message.ShouldContain("serving.placement.strategy");
    }

    [Theory]
    [InlineData(0.0, 1, 1, 1)]
    [InlineData(1000.0, 1, 900, 1100)]
    [InlineData(10.0, 1000, 1000, 1000)]
    [InlineData(1e9, 1, 60000, 60000)]
    public void Backoff_Prediction_JitteredAndClamped(double predicted, int least, int from, int to)
    {
        var random = new Random(1);
        for (var i = 0; i < 100; i++)
        {
            var backoff = Backoff.Of(predicted, least, random);
            backoff.Milliseconds.ShouldBeInRange(from, to);
            backoff.Seconds.ShouldBeInRange(1, 60);
            (backoff.Seconds * 1000).ShouldBeGreaterThanOrEqualTo(Math.Min(backoff.Milliseconds, 60000));
        }
    }

    [Fact]
    public void WaitEstimate_Unmeasured_100MsAPlace_Measured_NextSlotThenTheWorkAheadOverSlots()
    {
        WaitEstimate.Of(nextMs: null, serviceMs: 0, ahead: 2, slots: 4, position: 2).ShouldBe(new WaitEstimate(300, false));
        WaitEstimate.Of(nextMs: 150, serviceMs: 800, ahead: 2, slots: 4, position: 2).ShouldBe(new WaitEstimate(550, true));
        WaitEstimate.Of(nextMs: 0, serviceMs: 800, ahead: 0, slots: 1, position: 0).ShouldBe(new WaitEstimate(0, true));
    }

    [Fact]
    public void LeastLoaded_SameShare_MoreFreeGpuMemoryWins()
    {
        new LeastLoaded().Choose([new(0, 4, 1, 10), new(1, 8, 2, 30), new(2, 4, 1, 20)], 0).ShouldBe(1);
        new LeastLoaded().Choose([new(0, 4, 2, 90), new(1, 4, 1, 0)], 0).ShouldBe(1, "free slots count first");
    }

    [Fact]
    public void NearestNames_Typo_TheMeantOneFirst()
    {
        NearestNames.Of("quen", ["llama", "qwen", "demo", "gpt"])[0].ShouldBe("qwen");
        NearestNames.Of("x", []).ShouldBeEmpty();
        NearestNames.Distance("kitten", "sitting").ShouldBe(3);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("application/json", true)]
    [InlineData("application/json; charset=utf-8", true)]
    [InlineData("application/problem+json", true)]
    [InlineData("application/x-www-form-urlencoded", true)]
    [InlineData("application/xml", false)]
    [InlineData("text/plain;charset=UTF-8", false)]
    [InlineData("multipart/form-data; boundary=x", false)]
    public void ContentType_JsonAndWhatCurlSends_Pass(string? type, bool good) => (CallChecks.ContentType(type) is null).ShouldBe(good);

    [Theory]
    [InlineData("1", true)]
    [InlineData("86400000", true)]
    [InlineData("0", false)]
    [InlineData("-5", false)]
    [InlineData("1.5", false)]
    [InlineData("soon", false)]
    public void Deadline_Header_PlainPositiveInteger(string header, bool good) => (CallChecks.Deadline(header, out _) is null).ShouldBe(good);

    [Theory]
    [InlineData(null, false, "Interactive")]
    [InlineData(null, true, "Batch")]
    [InlineData("interactive", true, "Interactive")]
    [InlineData("BATCH", false, "Batch")]
    public void Priority_HeaderWinsOverServiceTier(string? header, bool flex, string expected)
    {
        CallChecks.Priority(header, flex, out var queueClass).ShouldBeNull();
        queueClass.ToString().ShouldBe(expected);
        CallChecks.Priority("high", flex, out _)!.Message.ShouldContain("interactive or batch");
    }

    [Theory]
    [InlineData("abc-1", true)]
    [InlineData("", false)]
    [InlineData("a b", false)]
    [InlineData("ü", false)]
    [InlineData("a\nb", false)]
    public void RequestId_VisibleAsciiOnly(string id, bool good)
    {
        RequestIds.IsGood(id).ShouldBe(good);
        RequestIds.IsGood(new string('x', 128)).ShouldBeTrue();
        RequestIds.IsGood(new string('x', 129)).ShouldBeFalse();
    }

    [Theory]
    [InlineData("localhost:8080", "localhost")]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("[::1]:8080", "::1")]
    [InlineData("", "")]
    public void HostOf_Header_WithoutPort(string header, string host) => Gatekeeper.HostOf(header).ToString().ShouldBe(host);

    [Fact]
    public void Logins_TwentyFailuresInASecond_429ForThatAddressUntilTheNextSecond()
    {
        var time = new ManualTimeProvider();
        var keeper = new Gatekeeper(new GateOptions { Address = System.Net.IPAddress.Loopback, Token = "right" }, time, NullLogger.Instance);
        var pass = new Gatekeeper.Pass();
        var http = new DefaultHttpContext();
        http.Connection.RemoteIpAddress = IPAddress.Parse("10.0.0.1");
        http.Request.Headers.Authorization = "Bearer wrong";
        for (var i = 0; i < 20; i++)
        {
            keeper.CheckToken(http, Scopes.Manage, pass)!.Code.ShouldBe(ProblemCode.Unauthenticated);
        }

        keeper.CheckToken(http, Scopes.Manage, pass)!.HttpStatus.ShouldBe(429);
        http.Request.Headers.Authorization = "Bearer right";
        keeper.CheckToken(http, Scopes.Manage, new Gatekeeper.Pass()).ShouldBeNull("others behind the same address do not lock out who has the token");
        http.Request.Headers.Authorization = "Bearer wrong";
        http.Connection.RemoteIpAddress = IPAddress.Parse("10.0.0.2");
        keeper.CheckToken(http, Scopes.Manage, pass)!.HttpStatus.ShouldBe(401);
        http.Connection.RemoteIpAddress = IPAddress.Parse("10.0.0.1");
        time.Advance(TimeSpan.FromSeconds(1));
        http.Request.Headers.Authorization = "Bearer right";
        keeper.CheckToken(http, Scopes.Manage, pass).ShouldBeNull();
        keeper.CheckToken(http, Scopes.Manage, pass).ShouldBeNull();
        http.Request.Headers.Authorization = "Bearer righ";
        keeper.CheckToken(http, Scopes.Manage, pass)!.HttpStatus.ShouldBe(401, "what was shown before does not count for another token");
    }

    [Fact]
    public void Logins_WithoutAnyToken_AreNoGuesses()
    {
        var keeper = new Gatekeeper(new GateOptions { Address = System.Net.IPAddress.Loopback, Token = "right" }, new ManualTimeProvider(), NullLogger.Instance);
        var http = new DefaultHttpContext();
        for (var i = 0; i < 50; i++)
        {
            keeper.CheckToken(http, Scopes.Manage, new Gatekeeper.Pass())!.HttpStatus.ShouldBe(401);
        }

        http.Request.Headers.Authorization = "Bearer wrong";
        keeper.CheckToken(http, Scopes.Manage, new Gatekeeper.Pass())!.HttpStatus.ShouldBe(401);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("0", true)]
    [InlineData("1", false)]
    public void Resumable_IsRefusedUntilItIsThere(string? header, bool passes) => (CallChecks.Resumable(header) is null).ShouldBe(passes);

    [Fact]
    public void Gatekeeper_KeyInXApiKey_DoesNotVouchForTheAuthorizationBesideIt()
    {
        var keeper = new Gatekeeper(new GateOptions { Address = System.Net.IPAddress.Loopback, Token = "right" }, new ManualTimeProvider(), NullLogger.Instance);
        var pass = new Gatekeeper.Pass();
        var http = new DefaultHttpContext();
        http.Request.Path = "/v1/models";
        http.Request.Headers.Authorization = "Basic anything";
        http.Request.Headers["x-api-key"] = "right";
        keeper.CheckToken(http, Scopes.Inference, pass).ShouldBeNull();

        http.Request.Path = "/metrics";
        http.Request.Headers.Remove("x-api-key");

        keeper.CheckToken(http, Scopes.Metrics, pass)!.HttpStatus.ShouldBe(401);
    }

    [Fact]
    public void Rules_StrategyOfALaterBuild_IsRefusedWithTheOnesOfThisBuild()
    {
        LoadResult Load(string strategy) => SettingsLoader.Load(
            new TestLoad(ControlSettings.All).Toml($"[serving.placement]\nstrategy = \"{strategy}\"").Request() with { CrossRules = ControlRules.All });

        var fault = Load("prefix-affinity").Faults.ShouldHaveSingleItem();

        fault.Key.ShouldBe("serving.placement.strategy");
        fault.Severity.ShouldBe(FaultSeverity.Error);
        fault.Fix!.ShouldContain("round-robin, least-loaded, random");
        foreach (var name in PlacementStrategies.Names)
        {
            Load(name).Faults.ShouldBeEmpty();
        }
    }

    [Fact]
    public void Route_UnderAnotherName_KnowsItsModelsOwn()
    {
        var table = new ReplicaTable();
        table.Publish([Status("default", "r0", "org/small", ["org/small"], ["chat"])]);

        Json("chat").ShouldBe("\"org/small\"");
        Json("default").ShouldBe("\"org/small\"");
        Json("org/small").ShouldBeNull("the client's bytes are right as they are");
        string? Json(string name)
        {
            table.Current.TryResolve(name, out var route).ShouldBeTrue();
            return route!.ModelJson is { } json ? System.Text.Encoding.UTF8.GetString(json) : null;
        }
    }

    [Fact]
    public void Watch_FirstCauseWins_AndLimitsAreLazy()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        watch.Begin();
        watch.Expect(EndCause.FirstTokenTimeout, TimeSpan.FromSeconds(10));
        time.Advance(TimeSpan.FromSeconds(9));
        watch.Expect(EndCause.StreamIdle, TimeSpan.FromSeconds(5));
        time.Advance(TimeSpan.FromSeconds(4.9));
        watch.Token.IsCancellationRequested.ShouldBeFalse("each sign of life starts the silence anew");
        time.Advance(TimeSpan.FromSeconds(0.2));

        watch.Token.IsCancellationRequested.ShouldBeTrue();
        watch.Cause.ShouldBe(EndCause.StreamIdle);
        watch.End(EndCause.Shutdown).ShouldBeFalse();
        watch.Cause.ShouldBe(EndCause.StreamIdle);
    }

    [Fact]
    public void Watch_NextCall_StartsFresh_UntilTheClientIsGone()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        watch.Begin();
        watch.Expect(EndCause.FirstTokenTimeout, TimeSpan.FromSeconds(10));
        watch.Finish();
        time.Advance(TimeSpan.FromSeconds(5));
        watch.Begin();
        watch.LimitTo(TimeSpan.FromSeconds(8));
        time.Advance(TimeSpan.FromSeconds(6));
        watch.Cause.ShouldBe(EndCause.None, "the limit of the call before is over");
        time.Advance(TimeSpan.FromSeconds(3));
        watch.Cause.ShouldBe(EndCause.Deadline);
        watch.Finish();
        watch.ClientGone();

        watch.Begin();

        watch.Cause.ShouldBe(EndCause.ClientGone);
    }

    [Fact]
    public void Snapshot_Names_AliasBeforeIdBeforeDefault()
    {
        var table = new ReplicaTable();
        table.Publish(
        [
            Status("default", "r0", "small", ["small"], ["chat"]),
            Status("big", "r0", "large", ["large", "small"], ["small"]),
        ]);

        Pool("chat").ShouldBe("default");
        Pool("small").ShouldBe("big", "an alias wins over an id");
        Pool("large").ShouldBe("big");
        Pool("default").ShouldBe("default");
        table.Current.TryResolve("none", out _).ShouldBeFalse();
        table.Current.TryResolve("small"u8, out _).ShouldBeTrue();
        table.Current.TryResolve(new byte[2000], out _).ShouldBeFalse();
        string Pool(string name)
        {
            table.Current.TryResolve(name, out var route).ShouldBeTrue();
            return route!.Offering[0].Status.Id.PoolId;
        }
    }

    private static ReplicaStatus Status(string pool, string replica, string model, string[] models, string[] aliases) => new()
    {
        Id = new ReplicaId("n", pool, replica),
        State = ReplicaState.Ready,
        EngineKind = "mock",
        Model = model,
        Models = [.. models],
        Aliases = [.. aliases],
        SlotsTotal = 1,
        Url = "http://127.0.0.1:1/v1",
    };
}
