using System.IO.Pipelines;
using System.Net;
using System.Text;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Control.Placement;
using Loom.Core.Web;
using Loom.Testing;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class RelayTests
{
    [Fact]
    public async Task Stream_CommentsOfTheEngine_AreNotItsFirstToken()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        using var desk = new AdmissionDesk(new AdmissionOptions(), new RoundRobin(), time, new Random(1));
        var options = new GatewayOptions();
        var client = new ClientWriter(watch, options.ClientStallTimeout);
        var waiting = new WaitingStream(watch, client, options, desk, time);
        var http = new DefaultHttpContext();
        using var sent = new MemoryStream();
        http.Response.Body = sent;
        client.Reset(http);
        waiting.Reset(http, 0);
        watch.Begin();
        var begun = 0;
        var record = new RelayRecord(static _ => { });
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 1)); // a write ends when it was read
        var relay = new StreamRelay(watch, client, waiting, options, time, static _ => { });

        var running = relay.RunAsync(pipe.Reader.AsStream(), new Ticket(), hideUsage: false, repair: false, () => begun++, record);
        time.Advance(TimeSpan.FromSeconds(1));
        await pipe.Writer.WriteAsync(": keep-alive\n\n: keep"u8.ToArray(), TestContext.Current.CancellationToken);
        begun.ShouldBe(0);
        time.Advance(TimeSpan.FromSeconds(1));
        await pipe.Writer.WriteAsync("-alive\n\n: with\ndata: {}\n\n: later\n\n"u8.ToArray(), TestContext.Current.CancellationToken);
        await pipe.Writer.CompleteAsync();
        await running.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

        begun.ShouldBe(1);
        record.FirstByteAt.ShouldBe(time.GetTimestamp());
        Encoding.UTF8.GetString(sent.ToArray()).ShouldBe(": with\ndata: {}\n\n: later\n\n");
    }

    [Fact]
    public void SilenceLimit_PutBack_CountsFromWhereItWas()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        watch.Begin();
        watch.Expect(EndCause.QueueTimeout, TimeSpan.FromSeconds(100));
        var limit = watch.SilenceLimit;
        watch.Expect(EndCause.ClientStall, TimeSpan.FromSeconds(10));
        watch.SilenceLimit = limit;

        time.Advance(TimeSpan.FromSeconds(99));
        watch.Cause.ShouldBe(EndCause.None);
        time.Advance(TimeSpan.FromSeconds(2));
        watch.Cause.ShouldBe(EndCause.QueueTimeout);
    }

    [Theory]
    [InlineData("mock", 401, "UNAUTHENTICATED", true)]
    [InlineData("mock", 503, "NO_SLOT", true)]
    [InlineData("openai", 503, "NO_SLOT", true)]
    [InlineData("openai", 404, "NOT_FOUND", true)]
    [InlineData("openai", 502, "WORKER_RESET", false)]
    public void AgentsOwnRefusal_GoesElsewhere_UnlessAProviderMayHaveBeenPaid(string kind, int status, string code, bool again)
    {
        var table = new ReplicaTable();
        table.Publish(
        [
            new ReplicaStatus
            {
                Id = new ReplicaId("n", "p", "r0"), State = ReplicaState.Ready, EngineKind = kind, Model = "a", Models = ["a"], SlotsTotal = 1, Url = "http://127.0.0.1:1/v1",
            },
        ]);
        using var answer = new HttpResponseMessage((HttpStatusCode)status);
        AgentRefusal.Is(answer).ShouldBeFalse();
        answer.Headers.Add(RouteServer.OwnError, "1");
        AgentRefusal.Is(answer).ShouldBeTrue();

        var result = AgentRefusal.Of(table.Current.Replicas[0], status, Encoding.UTF8.GetBytes($$"""{"code":"{{code}}","message":"why"}"""));

        result.End.ShouldBe(again ? AttemptEnd.TryAgain : AttemptEnd.Failed);
        result.Problem!.Message.ShouldContain("why");
    }
}
