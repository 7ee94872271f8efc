using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Core.Web;
using Loom.Harness.Components.BuiltIns.Web;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

public class HttpInTests
{
    [Fact]
    public async Task Response_EventThatComesBack_AnswersItsOwnRequest()
    {
        await using var served = await Served.StartAsync(new HttpInOptions
        {
            Route = "/triage/{kind}",
            Reply = HttpReply.Response,
            Status = Expression.Compile("$.n > 90 ? 201 : 200"),
        });
        var answers = await Task.WhenAll(Enumerable.Range(0, 95).Select(async n =>
        {
            using var answer = await served.PostAsync("/triage/x", $$"""{"n":{{n}}}""");
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }));
        answers.ShouldBe(Enumerable.Range(0, 95).Select(n => (n > 90 ? 201 : 200, $$"""{"n":{{n}},"seen":true}""")));
        (await served.StopAsync()).ExitCode.ShouldBe(0);
        using var late = await served.PostAsync("/triage/x", "{}");
        late.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Accepted_RequestIsAnsweredWithItsIdOnceItIsInTheStream()
    {
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in" }, loop: false);
        using var answer = await served.PostAsync("/in", "[1]");
        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var id = JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("id").GetString()!;
        await served.StopAsync();
        served.Seen.Single().Id.ToString().ShouldBe(id + "/0");
        served.Seen.Single().Data.GetRawText().ShouldBe("[1]");
    }

    [Fact]
    public async Task AfterAck_RequestIsAnsweredOnceItsEventIsDone()
    {
        using var hold = new SemaphoreSlim(0);
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", Reply = HttpReply.AfterAck }, loop: false, hold: hold);
        var answers = Enumerable.Range(0, 20).Select(n => served.PostAsync("/in", $"{n}")).ToArray();
        await served.Reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
        answers.ShouldAllBe(a => !a.IsCompleted);
        hold.Release(20);
        var ids = new List<string>();
        foreach (var answer in await Task.WhenAll(answers).WaitAsync(TimeSpan.FromSeconds(60)))
        {
            answer.StatusCode.ShouldBe(HttpStatusCode.OK);
            ids.Add(JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("id").GetString() + "/0");
            answer.Dispose();
        }

        ids.ShouldBe(served.Seen.Select(e => e.Id.ToString()), ignoreOrder: true);
        (await served.StopAsync()).ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task AfterAck_StopWhileARequestWaits_IsAnsweredFirst()
    {
        using var hold = new SemaphoreSlim(0);
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", Reply = HttpReply.AfterAck }, loop: false, hold: hold);
        var answer = served.PostAsync("/in", "1");
        await served.Reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
        var stopped = served.StopAsync();
        hold.Release();
        (await answer).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await stopped).ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task Refusals_HaveTheirStatus()
    {
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", MaxBodyBytes = 10 }, loop: false);
        using var token = await served.PostAsync("/in", "1", token: null);
        using var wrong = await served.PostAsync("/in", "1", token: "guess");
        using var json = await served.PostAsync("/in", "{no");
        using var large = await served.PostAsync("/in", "\"0123456789\"");
        using var method = await served.Client.GetAsync(new Uri(served.Address, "/in"));
        new[] { token, wrong, json, large }.Select(a => (int)a.StatusCode).ShouldBe([401, 401, 400, 413]);
        method.StatusCode.ShouldBeOneOf(HttpStatusCode.MethodNotAllowed, HttpStatusCode.Unauthorized);
        await served.StopAsync();
        served.Seen.ShouldBeEmpty();
    }

    [Fact]
    public async Task Busy_TooManyInWork_Gives503AndRetryAfter()
    {
        using var hold = new SemaphoreSlim(0);
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", Reply = HttpReply.Response, MaxConcurrent = 2 }, hold: hold);
        var sent = Enumerable.Range(0, 6).Select(_ => served.PostAsync("/in", "{}")).ToList();
        await Loom.Testing.Deadline.Until(() => sent.Count(s => s.IsCompleted) == 4, "all but two are refused");
        var refused = sent.Where(s => s.IsCompleted).Select(s => s.Result).ToList();
        refused.ShouldAllBe(r => r.StatusCode == HttpStatusCode.ServiceUnavailable && r.Headers.RetryAfter != null);
        hold.Release(100);
        (await Task.WhenAll(sent)).Count(s => s.StatusCode == HttpStatusCode.OK).ShouldBe(2);
        (await served.StopAsync()).ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task Busy_StreamFull_SendsRequestsAway()
    {
        using var hold = new SemaphoreSlim(0);
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", TimeoutMs = TimeSpan.FromSeconds(60) }, loop: false, hold: hold, buffer: 1);
        var sent = new List<Task<HttpResponseMessage>>();
        await Loom.Testing.Deadline.Until(
            () =>
            {
                sent.Add(served.PostAsync("/in", "{}"));
                return sent.Exists(s => s.IsCompletedSuccessfully && s.Result.StatusCode == HttpStatusCode.ServiceUnavailable);
            },
            "a full stream is told");
        hold.Release(1000);
        var taken = (await Task.WhenAll(sent)).Count(s => s.StatusCode == HttpStatusCode.Accepted);
        await served.StopAsync();
        served.Seen.Count.ShouldBe(taken);
    }

    [Fact]
    public async Task Response_NobodyAnswers_Gives504()
    {
        await using var served = await Served.StartAsync(new HttpInOptions { Route = "/in", Reply = HttpReply.Response, TimeoutMs = TimeSpan.FromMilliseconds(50) }, loop: false);
        using var answer = await served.PostAsync("/in", "{}");
        answer.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await served.StopAsync()).ExitCode.ShouldBe(0);
    }

    private sealed class Mark(List<Event<JsonElement>> seen, SemaphoreSlim? hold, TaskCompletionSource? reached = null) : Transformer<JsonElement, JsonElement>
    {
        protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
        {
            reached?.TrySetResult();
            if (hold is not null)
            {
                await hold.WaitAsync(ct);
            }

            var data = e.Data.ValueKind == JsonValueKind.Object && e.Data.TryGetProperty("n", out var n) ? JsonElement.Parse($$"""{"n":{{n.GetRawText()}},"seen":true}""") : e.Data;
            var made = e.Derive(data);
            await output.SendAsync(made, ct);
            seen.Add(output[^1]);
        }
    }

    private sealed class Forget : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct) => default;
    }

    private sealed class Served : IAsyncDisposable, IErrorDestination
    {
        private readonly CancellationTokenSource _stop = new();
        private WebServer _server = null!;
        private SystemAssembly _assembly = null!;
        private Task<RunResult> _run = null!;

        public List<Event<JsonElement>> Seen { get; } = [];

        /// <summary>Completes with the first event in hand.</summary>
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HttpClient Client { get; } = new();

        public Uri Address => _server.Address;

        public static async Task<Served> StartAsync(HttpInOptions options, bool loop = true, SemaphoreSlim? hold = null, int buffer = 1000)
        {
            var served = new Served();
            var routes = new EndpointRoutes();
            var builder = new HarnessBuilder("served")
                .Add("api", () => new HttpIn(options, routes, new Random(1)))
                .Add("mark", () => new Mark(served.Seen, hold, served.Reached))
                .Add("end", () => new Forget())
                .Bind("api.out", "mark.in", b => b with { Buffer = buffer })
                .Bind("mark.out", loop ? "api.in" : "end.in");
            if (loop)
            {
                builder.Bind("mark.out", "end.in");
            }

            served._assembly = new SystemAssembly(builder.Plan("/system"), new RunMaterials
            {
                Time = TimeProvider.System,
                Random = new Random(1),
                Logs = NullLoggerFactory.Instance,
                Times = new LifecycleTimes(),
                Create = builder.Create,
                CreateCapability = _ => throw new NotSupportedException("none here"),
                DeadLetters = served,
                Describe = f => JsonSerializer.SerializeToElement(f.Error.Message),
                Checkpoints = new CheckpointTimes(TimeSpan.FromHours(1), null),
                GraphHash = "test",
                Run = "r1",
            });
            var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            served._assembly.Run.Started = () => started.TrySetResult();
            served._run = served._assembly.Run.RunAsync(new RunTokens(served._stop.Token, default));
            await started.Task.WaitAsync(TimeSpan.FromSeconds(120));
            var gate = new Gatekeeper(new GateOptions { Address = IPAddress.Loopback, RunToken = "secret", OpenInference = false }, TimeProvider.System, NullLogger.Instance);
            served._server = new WebServer(new IPEndPoint(IPAddress.Loopback, 0), shapeErrors: true, NullLoggerFactory.Instance);
            await served._server.StartAsync(new RouteServer(() => routes.Table, gate, NullLogger.Instance), default);
            // Requests are taken once its loop runs.
            await Loom.Testing.Deadline.Until(() => served.IsOpenAsync(options).GetAwaiter().GetResult(), "http_in takes requests");
            return served;
        }

        public async Task<HttpResponseMessage> PostAsync(string path, string body, string? token = "secret")
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Address, path)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            if (token is not null)
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            return await Client.SendAsync(request).WaitAsync(TimeSpan.FromSeconds(120));
        }

        public async Task<RunResult> StopAsync()
        {
            await _stop.CancelAsync();
            return await _run.WaitAsync(TimeSpan.FromSeconds(120));
        }

        public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct) => default;

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            using var abort = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            await _server.StopAsync(abort.Token);
            _server.Dispose();
            _assembly.Dispose();
            Client.Dispose();
            _stop.Dispose();
        }

        // A body that is no JSON is refused by a loop that runs, and makes no event.
        private async Task<bool> IsOpenAsync(HttpInOptions options)
        {
            using var probe = await PostAsync(options.Route.Replace("{kind}", "x", StringComparison.Ordinal), "{no");
            return probe.StatusCode == HttpStatusCode.BadRequest;
        }
    }
}
