using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Loom.Harness.Alerts;
using Loom.Harness.Architecture;
using Loom.Harness.Expressions;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Signals;

public sealed class WebhookTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly ConcurrentQueue<AlertChange> _delivered = [];

    private static AlertChange Change(bool fires) => new(
        new AlertRule("depth", MetricExpression.Compile("stream_depth > 5"), TimeSpan.Zero, TimeSpan.Zero, AlertSeverity.Critical, null, BuiltIn: false), fires, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddSeconds(3), Times: fires ? 1 : 4, Reason: fires ? null : "the system drained");

    private Webhook To(Receiver receiver, string? secret = "s3cret") => new(
        new WebhookPlan("ops", new Uri("http://receiver/alerts"), secret), new SystemPlan { Name = "orders", Version = "1.2.3", Directory = "/", Components = [], Bindings = [] },
        new HttpClient(receiver), "r1", _time, _delivered.Enqueue, NullLogger.Instance);

    [Fact]
    public async Task Tell_FiringThenResolved_InOrderWithSignatureThatVerifies()
    {
        var receiver = new Receiver();
        await using (var webhook = To(receiver))
        {
            webhook.Tell(Change(fires: true));
            webhook.Tell(Change(fires: false));
            await Deadline.Until(() => webhook.Status.Sent == 2, "both are taken");
        }

        receiver.Bodies.Select(b => JsonElement.Parse(b.Body).GetProperty("status").GetString()).ShouldBe(["firing", "resolved"]);
        _delivered.Select(c => c.Fires).ShouldBe([true, false]);
        foreach (var (body, signature, delivery) in receiver.Bodies)
        {
            signature.ShouldBe("sha256=" + Convert.ToHexStringLower(HMACSHA256.HashData("s3cret"u8, Encoding.UTF8.GetBytes(body))));
            JsonElement.Parse(body).GetProperty("id").GetString().ShouldBe(delivery);
        }

        var last = JsonElement.Parse(receiver.Bodies.Last().Body);
        (last.GetProperty("times").GetInt64(), last.GetProperty("reason").GetString()).ShouldBe((4, "the system drained"));
        var first = JsonElement.Parse(receiver.Bodies.First().Body);
        (first.GetProperty("alert").GetString(), first.GetProperty("severity").GetString(), first.GetProperty("system").GetString()).ShouldBe(("depth", "critical", "orders"));
    }

    [Fact]
    public async Task Tell_ReceiverFails_FiveAttemptsWithGrowingPausesThenGivenUp()
    {
        var receiver = new Receiver { Status = HttpStatusCode.InternalServerError };
        await using var webhook = To(receiver, secret: null);

        webhook.Tell(Change(fires: true));
        for (var attempt = 1; attempt <= Webhook.Attempts; attempt++)
        {
            await Deadline.Until(() => receiver.Bodies.Count == attempt, $"attempt {attempt}");
            receiver.Bodies.ShouldAllBe(b => b.Signature == null && b.Delivery == "orders-r1-ops-1");
            await Deadline.Until(() => webhook.Status.LastError == "the receiver answered 500", "the attempt is judged");
            if (attempt < Webhook.Attempts)
            {
                _time.Advance(TimeSpan.FromSeconds(Math.Pow(2, attempt - 1)) + TimeSpan.FromMilliseconds(1));
                await UntilNextAsync(receiver, attempt);
            }
        }

        await Deadline.Until(() => webhook.Status is { Lost: 1, Sent: 0 }, "it is given up");
        _delivered.ShouldBeEmpty();
    }

    // The pause may be begun after the clock was moved: then it is moved once more.
    private async Task UntilNextAsync(Receiver receiver, int attempt) => await Deadline.Until(
        () =>
        {
            if (receiver.Bodies.Count == attempt)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
            }

            return receiver.Bodies.Count > attempt;
        },
        "the next attempt begins");

    [Fact]
    public async Task Tell_MoreThanTheQueueHolds_LostAndCounted()
    {
        var receiver = new Receiver { Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) };
        await using var webhook = To(receiver);
        webhook.Tell(Change(fires: true));
        await Deadline.Until(() => receiver.Bodies.Count == 1, "the first is under way");

        for (var i = 0; i < Webhook.MostWaiting + 7; i++)
        {
            webhook.Tell(Change(fires: i % 2 == 0));
        }

        webhook.Status.Lost.ShouldBe(7);
        receiver.Hold.SetResult();
        await Deadline.Until(() => webhook.Status.Sent == Webhook.MostWaiting + 1, "the rest is sent");
    }

    private sealed class Receiver : HttpMessageHandler
    {
        public ConcurrentQueue<(string Body, string? Signature, string? Delivery)> Bodies { get; } = [];

        public HttpStatusCode Status { get; init; } = HttpStatusCode.OK;

        public TaskCompletionSource? Hold { get; init; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            string? Header(string name) => request.Headers.TryGetValues(name, out var values) ? values.Single() : null;
            Bodies.Enqueue((await request.Content!.ReadAsStringAsync(cancellationToken), Header(Webhook.SignatureHeader), Header(Webhook.DeliveryHeader)));
            if (Hold is not null)
            {
                await Hold.Task;
            }

            return new HttpResponseMessage(Status);
        }
    }
}
