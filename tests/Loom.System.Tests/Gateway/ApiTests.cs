using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Loom.Core.Web;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>Routes, tokens, ids and bad input, as a client sees them.</summary>
public sealed class ApiTests
{
    private const string Good = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";

    [Theory]
    [InlineData("""not json""", null, "line 1, column 2")]
    [InlineData("""[1]""", null, "JSON object")]
    [InlineData("""{"model":"demo"}""", "messages", "missing")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}]}""", "model", "missing")]
    [InlineData("""{"model":"demo","messages":[{"role":"user","content":"x"},{"role":"user","content":7}]}""", "messages[1].content", "the number 7")]
    [InlineData("""{"model":"demo","messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens", "at least 1")]
    [InlineData("""{"model":"demo","messages":[{"role":"user","content":"x"}],"n":0}""", "n", "from 1 to")]
    [InlineData("""{"model":"demo","model":"x","messages":[{"role":"user","content":"x"}]}""", "model", "twice")]
    public async Task Body_Malformed_400NamesThePlace(string body, string? param, string part)
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.ChatAsync(body);

        response.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        error.GetProperty("type").GetString().ShouldBe("invalid_request_error");
        error.GetProperty("param").GetString().ShouldBe(param);
        error.GetProperty("message").GetString()!.ShouldContain(part);
        error.GetProperty("retriable").GetBoolean().ShouldBeFalse();
        error.GetProperty("request_id").GetString().ShouldBe(response.Headers.GetValues("x-request-id").Single());
        harness.Engine.Seen.ShouldBeEmpty();
        (await harness.ChatAsync(Good)).StatusCode.ShouldBe(HttpStatusCode.OK, "the connection is still good");
    }

    [Fact]
    public async Task Model_Unknown_404WithTheNearestNames()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.ChatAsync(Good.Replace("demo", "dmeo", StringComparison.Ordinal));

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        var text = await response.Content.ReadAsStringAsync();
        text.ShouldContain("model_not_found");
        text.ShouldContain("'demo'");
    }

    [Fact]
    public async Task Body_TooLarge_413AndTheConnectionIsClosed()
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Gateway = o.Gateway with { MaxBodyBytes = 1024 } });
        using var announced = await harness.RawAsync();
        await announced.SendAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{");
        var first = await announced.ReadToEndAsync();
        using var chunked = await harness.RawAsync();
        await chunked.SendAsync(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + $"800\r\n{new string('x', 2048)}\r\n");
        var second = await chunked.ReadToEndAsync();

        foreach (var answer in new[] { first, second })
        {
            answer.ShouldStartWith("HTTP/1.1 413");
            answer.ShouldContain("request_too_large");
            answer.ShouldContain("Connection: close");
        }
    }

    [Fact]
    public async Task Body_NeverArrives_408()
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Gateway = o.Gateway with { BodyTimeout = TimeSpan.FromMilliseconds(150) } });
        using var client = await harness.RawAsync();

        await client.SendAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");

        var answer = await client.ReadToEndAsync();
        answer.ShouldStartWith("HTTP/1.1 408");
        answer.ShouldContain("request_timeout");
    }

    [Fact]
    public async Task Headers_TooLarge_431()
    {
        await using var harness = await GatewayHarness.StartAsync();
        using var client = await harness.RawAsync();

        await client.SendAsync($"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Big: {new string('x', 40_000)}\r\n\r\n");

        var answer = await client.ReadToEndAsync();
        answer.ShouldStartWith("HTTP/1.1 431");
        answer.ShouldContain("larger than 32 KiB");
        answer.ShouldContain("\"type\":\"invalid_request_error\"");
    }

    [Fact]
    public async Task Bytes_NotHttp_400InTheSameShape_AlsoAfterAGoodRequest()
    {
        await using var harness = await GatewayHarness.StartAsync();
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Good);
        await client.ReadUntilAsync("{\"ok\":true}");

        await client.SendAsync("what is this\r\n\r\n");

        var answer = await client.ReadToEndAsync();
        answer.ShouldStartWith("HTTP/1.1 400");
        answer.ShouldContain("not a valid HTTP/1.1 request");
    }

    [Fact]
    public async Task Method_Wrong_405WithAllow()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.Client.GetAsync("/v1/chat/completions");

        response.StatusCode.ShouldBe(HttpStatusCode.MethodNotAllowed);
        response.Content.Headers.Allow.ShouldBe(["POST"]);
        using var part = new HttpRequestMessage(new HttpMethod("EAD"), "/health");
        (await harness.Client.SendAsync(part)).StatusCode.ShouldBe(HttpStatusCode.MethodNotAllowed, "a part of a method's name is not one");
        (await response.Content.ReadAsStringAsync()).ShouldContain("method_not_allowed");
    }

    [Fact]
    public async Task ContentType_Wrong_415()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.ChatAsync(Good, r => r.Content = new StringContent(Good, Encoding.UTF8, "application/xml"));

        response.StatusCode.ShouldBe(HttpStatusCode.UnsupportedMediaType);
    }

    [Theory]
    [InlineData("/v1/responses", "unsupported_route")]
    [InlineData("/v1/rerank", "unsupported_route")]
    [InlineData("/nothing", "not_found")]
    public async Task Path_Unknown_404InTheSameShape(string path, string code)
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.PostAsync(path, Good);

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetProperty("code").GetString().ShouldBe(code);
    }

    [Fact]
    public async Task Models_List_NamesEachModelOnceWithItsPools()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2, status: s => s with { Models = ["demo", "org/other"], Aliases = ["chat"], Ctx = 2048, Created = 5, Swap = true });

        var list = JsonDocument.Parse(await harness.Client.GetStringAsync("/v1/models")).RootElement;
        var one = JsonDocument.Parse(await harness.Client.GetStringAsync("/v1/models/org/other")).RootElement;
        using var missing = await harness.Client.GetAsync("/v1/models/none");

        list.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()).ShouldBe(["demo", "org/other"]);
        var demo = list.GetProperty("data")[0];
        demo.GetProperty("object").GetString().ShouldBe("model");
        demo.GetProperty("owned_by").GetString().ShouldBe("loom");
        demo.GetProperty("loom").GetProperty("pools")[0].GetString().ShouldBe("default");
        demo.GetProperty("loom").GetProperty("state").GetString().ShouldBe("ready");
        demo.GetProperty("loom").GetProperty("ctx").GetInt32().ShouldBe(2048);
        one.GetProperty("loom").GetProperty("state").GetString().ShouldBe("stopped");
        missing.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        foreach (var name in new[] { "chat", "default", "\\u0064emo" })
        {
            (await harness.ChatAsync(Good.Replace("demo", name, StringComparison.Ordinal))).StatusCode.ShouldBe(HttpStatusCode.OK, name);
        }
    }

    [Fact]
    public async Task RequestId_IsEchoedAndSentToTheEngine_GarbageIsReplaced()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var good = await harness.ChatAsync(Good, r => r.Headers.Add("x-request-id", "abc-1"));
        using var other = await harness.ChatAsync(Good, r => r.Headers.Add("X-Correlation-Id", "cor-2"));
        using var bad = await harness.ChatAsync(Good, r => r.Headers.TryAddWithoutValidation("x-request-id", "a b"));

        good.Headers.GetValues("x-request-id").ShouldBe(["abc-1"]);
        good.Headers.GetValues("X-Correlation-Id").ShouldBe(["abc-1"]);
        other.Headers.GetValues("x-request-id").ShouldBe(["cor-2"]);
        Guid.TryParse(bad.Headers.GetValues("x-request-id").Single(), out _).ShouldBeTrue();
        harness.Engine.Seen.First().Headers["X-Request-Id"].ShouldBe("abc-1");
    }

    [Fact]
    public async Task Mock_Replica_IsMarked()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Mock = true });

        using var response = await harness.ChatAsync(Good, r => r.Headers.Add("x-mock-fault", "none"));

        response.Headers.GetValues("x-loom-mock").ShouldBe(["true"]);
        harness.Engine.Seen.Single().Headers["x-mock-fault"].ShouldBe("none");
    }

    [Fact]
    public async Task Health_SaysWhetherWorkCanBeTaken()
    {
        await using var harness = await GatewayHarness.StartAsync();
        (await harness.Client.GetAsync("/health")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await harness.Client.GetAsync("/health/ready")).StatusCode.ShouldBe(HttpStatusCode.OK);

        harness.Publish(s => s with { State = ReplicaState.Starting });
        using var ready = await harness.Client.GetAsync("/health/ready");

        ready.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await ready.Content.ReadAsStringAsync()).ShouldContain("1 of 1 replicas starting");
        (await harness.Client.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Health_PartFailed_IsNamedInTheDetailAndCountedInTheOpen()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Failed = ["publish replicas: it broke"];

        using var ready = await harness.Client.GetAsync("/health/ready");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health/detail");
        request.Headers.Authorization = new("Bearer", "run-token");
        using var detail = await harness.Client.SendAsync(request);

        ready.StatusCode.ShouldBe(HttpStatusCode.OK, "a pool can take work");
        var text = await ready.Content.ReadAsStringAsync();
        text.ShouldContain("1 part of the server failed");
        text.ShouldNotContain("it broke");
        var seen = JsonDocument.Parse(await detail.Content.ReadAsStringAsync()).RootElement;
        seen.GetProperty("status").GetString().ShouldBe("degraded");
        seen.GetProperty("faults")[0].GetString().ShouldBe("publish replicas: it broke");
    }

    [Fact]
    public async Task Failure_Unforeseen_500InOurShapeAndLogged()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.FailReport = true;
        harness.Engine.Answer = e => e.JsonAsync("{}", 500);

        using var response = await harness.ChatAsync(Good);
        harness.FailReport = false;

        response.StatusCode.ShouldBe(HttpStatusCode.InternalServerError);
        (await response.Content.ReadAsStringAsync()).ShouldContain("\"loom_code\":\"INTERNAL\"");
        await Loom.Testing.Deadline.Until(() => harness.Log.Lines.Any(l => l.Text.Contains("failed unexpectedly", StringComparison.Ordinal)), "the failure is in the log");
        await harness.UntilMetricAsync("orchd_pool_slots{pool=\"default\",state=\"busy\"} 0");
    }

    [Fact]
    public async Task Meta_IsOpenAndTellsTheVersionAndWhatIsOffered()
    {
        await using var harness = await GatewayHarness.StartAsync();

        JsonDocument.Parse(await harness.Client.GetStringAsync("/v2/meta/version")).RootElement.GetProperty("api_version").GetString().ShouldBe("2.0");
        var offered = JsonDocument.Parse(await harness.Client.GetStringAsync("/v2/meta/capabilities")).RootElement;
        offered.GetProperty("placement_strategies").GetArrayLength().ShouldBe(3);
        offered.GetProperty("admission").GetProperty("policy").GetString().ShouldBe("drop-lru");
    }

    // Path, token (null = none), expected status; first without LLORCH_API_TOKEN, then with it.
    [Theory]
    [InlineData(false, "/health", null, 200)]
    [InlineData(false, "/v2/meta/version", null, 200)]
    [InlineData(false, "/v1/models", null, 200)]
    [InlineData(false, "/metrics", null, 401)]
    [InlineData(false, "/health/detail", null, 401)]
    [InlineData(false, "/metrics", "run-token", 200)]
    [InlineData(false, "/health/detail", "run-token", 200)]
    [InlineData(true, "/health", null, 200)]
    [InlineData(true, "/v1/models", null, 401)]
    [InlineData(true, "/v1/models", "wrong", 401)]
    [InlineData(true, "/v1/models", "the-token", 200)]
    [InlineData(true, "/v1/models", "inference-key", 200)]
    [InlineData(true, "/metrics", "inference-key", 403)]
    [InlineData(true, "/metrics", "the-token", 200)]
    public async Task Token_Table(bool tokenSet, string path, string? token, int expected)
    {
        var key = new ClientKey("one", Convert.ToHexStringLower(SHA256.HashData("inference-key"u8)), Scopes.Inference);
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Api = o.Api with { Token = tokenSet ? "the-token" : null, Keys = [key] } });
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = token is null ? null : new("Bearer", token);

        using var response = await harness.Client.SendAsync(request);

        ((int)response.StatusCode).ShouldBe(expected);
        if (expected == 401)
        {
            response.Headers.WwwAuthenticate.ToString().ShouldBe("Bearer");
            (await response.Content.ReadAsStringAsync()).ShouldContain(token is null ? "40101" : "40102");
        }
    }

    [Fact]
    public async Task Token_Wrong_IsLoggedByItsFingerprintOnly()
    {
        await using var harness = await GatewayHarness.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Authorization = new("Bearer", "secret-guess");

        (await harness.Client.SendAsync(request)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);

        var fingerprint = "token_fp6=" + Convert.ToHexStringLower(SHA256.HashData("secret-guess"u8))[..6];
        await Loom.Testing.Deadline.Until(() => harness.Log.Lines.Any(l => l.Text.Contains(fingerprint, StringComparison.Ordinal)), "the fingerprint is in the log");
        harness.Log.Lines.Select(l => l.Text).ShouldNotContain(l => l.Contains("secret-guess", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Token_XApiKey_WorksOnV1Only()
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Api = o.Api with { Token = "the-token" } });
        async Task<HttpStatusCode> Get(string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Add("x-api-key", "the-token");
            return (await harness.Client.SendAsync(request)).StatusCode;
        }

        (await Get("/v1/models")).ShouldBe(HttpStatusCode.OK);
        (await Get("/metrics")).ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Host_Foreign_403_And_Origin_Foreign_403_OwnPageMayRead()
    {
        await using var harness = await GatewayHarness.StartAsync();
        async Task<HttpResponseMessage> Get(string? host, string? origin)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
            request.Headers.Host = host;
            if (origin is not null)
            {
                request.Headers.Add("Origin", origin);
            }

            return await harness.Client.SendAsync(request);
        }

        (await Get("evil.example", null)).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await Get(null, "https://evil.example")).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await Get("localhost:1234", null)).StatusCode.ShouldBe(HttpStatusCode.OK);
        var own = await Get(null, "http://localhost:3030");
        own.StatusCode.ShouldBe(HttpStatusCode.OK);
        own.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["http://localhost:3030"]);
    }

    [Fact]
    public async Task Metrics_OwnPort_SameTextAndNothingElse()
    {
        await using var harness = await GatewayHarness.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(harness.Plane.MetricsAddress!, "/metrics"));
        request.Headers.Authorization = new("Bearer", "run-token");

        using var metrics = await harness.Client.SendAsync(request);

        (await metrics.Content.ReadAsStringAsync()).ShouldContain("# TYPE orchd_queue_depth gauge");
        (await harness.Client.GetAsync(new Uri(harness.Plane.MetricsAddress!, "/metrics"))).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await harness.Client.GetAsync(new Uri(harness.Plane.MetricsAddress!, "/v1/models"))).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }
}
