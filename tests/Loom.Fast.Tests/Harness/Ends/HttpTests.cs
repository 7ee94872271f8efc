using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Web;
using Loom.Harness.Expressions;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class HttpTests
{
    private static Stage Allowed => new() { Hosts = ["api.test"] };

    private static Event<JsonElement> Item(string json, int n = 0) => new(EventId.Root("in:a b.jsonl", n), JsonElement.Parse(json));

    [Theory]
    [InlineData("api.example.com", "https://api.example.com/x", true)]
    [InlineData("api.example.com", "https://API.Example.com:8443/x", true)]
    [InlineData("api.example.com", "https://api.example.com.evil.net/", false)]
    [InlineData("*.example.com", "https://a.b.example.com/", true)]
    [InlineData("*.example.com", "https://example.com/", false)]
    [InlineData("*.example.com", "https://evilexample.com/", false)]
    [InlineData("127.0.0.1:9000", "http://127.0.0.1:9000/", true)]
    [InlineData("127.0.0.1:9000", "http://127.0.0.1:9001/", false)]
    [InlineData("[::1]:9000", "http://[::1]:9000/", true)]
    [InlineData("*", "https://anything.test/", true)]
    [InlineData("*", "ftp://anything.test/", false)]
    public void AllowedHosts_Entry_AllowsWhatItNames(string entry, string address, bool allowed) => AllowedHosts.Allows([entry], new Uri(address)).ShouldBe(allowed);

    [Fact]
    public async Task HttpCall_Event_IsSentAndTheAnswerAdded()
    {
        var (http, stub) = StubHttp.Of(200, """{"ok":1}""");
        await using var stage = Allowed;
        var options = new HttpCallOptions
        {
            Url = Template.Compile("https://api.test/users/{{ $.id }}"),
            Method = "POST",
            Headers = new Dictionary<string, Template> { ["X-Id"] = Template.Compile("{{ $.id }}") },
        };
        var call = await stage.SetUpAsync(new HttpCall(options, http));
        var output = new Emitter<JsonElement>();
        await call.HandleAsync(0, Item("""{"id":7}"""), output, default);
        output.Single().Data.GetProperty("response").GetProperty("body").GetRawText().ShouldBe("""{"ok":1}""");
        output.Single().Data.GetProperty("id").GetInt32().ShouldBe(7);
        var (request, body) = stub.Seen.Single();
        (request.Method.Method, request.RequestUri!.ToString(), body, request.Headers.GetValues("X-Id").Single()).ShouldBe(("POST", "https://api.test/users/7", """{"id":7}""", "7"));
    }

    [Fact]
    public async Task HttpCall_RefusedHostAndStatus_AreErrorsOfTheirClass()
    {
        var (http, stub) = StubHttp.Of(404, "none");
        await using var stage = Allowed;
        var foreign = await Should.ThrowAsync<ItemException>(() => stage.SetUpAsync(new HttpCall(new HttpCallOptions { Url = Template.Compile("https://other.test/") }, http)));
        (foreign.Code, foreign.Class).ShouldBe(("host_refused", ErrorClass.Configuration));
        foreign.Message.ShouldContain("allow_hosts");
        stub.Seen.ShouldBeEmpty();

        var call = await stage.SetUpAsync(new HttpCall(new HttpCallOptions { Url = Template.Compile("https://api.test/") }, http));
        var missing = await Should.ThrowAsync<ItemException>(async () => await call.HandleAsync(0, Item("1"), new Emitter<JsonElement>(), default));
        (missing.Code, missing.Class).ShouldBe(("http_404", ErrorClass.Configuration));

        var accepting = await stage.SetUpAsync(new HttpCall(new HttpCallOptions { Url = Template.Compile("https://api.test/"), Accept = [404] }, http));
        var output = new Emitter<JsonElement>();
        await accepting.HandleAsync(0, Item("1"), output, default);
        output.Single().Data.GetProperty("response").GetProperty("body").GetString().ShouldBe("none");
    }

    [Fact]
    public async Task HttpOut_Event_BearsItsIdAsIdempotencyKey()
    {
        var (http, stub) = StubHttp.Of(204, "");
        await using var stage = Allowed;
        var sink = await stage.SetUpAsync(new HttpOut(new HttpOutOptions { Url = Template.Compile("https://api.test/in") }, http));
        await sink.HandleAsync(0, Item("""{"a":1}""", 5).AsMock(), new Emitter<JsonElement>(), default);
        await sink.HandleBatchAsync(Batch<JsonElement>.Of(Item("1", 1), Item("2", 2)), new BatchEmitter<JsonElement>(), default);
        stub.Seen.Select(s => (s.Body, s.Request.Headers.GetValues("Idempotency-Key").Single())).ShouldBe(
            [("""{"a":1,"mock":true}""", "in%3Aa%20b.jsonl%3A5"), ("[1,2]", "in%3Aa%20b.jsonl%3A1..in%3Aa%20b.jsonl%3A2")]);
    }

    [Fact]
    public async Task HttpOut_ServerBusy_IsTransientAndSaysHowLong()
    {
        var (http, _) = StubHttp.Of(503, "busy", ("Retry-After", "2"));
        await using var stage = Allowed;
        var sink = await stage.SetUpAsync(new HttpOut(new HttpOutOptions { Url = Template.Compile("https://api.test/in") }, http));
        var busy = await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item("1"), new Emitter<JsonElement>(), default));
        (busy.Class, busy.RetryAfter).ShouldBe((ErrorClass.Transient, TimeSpan.FromSeconds(2)));
    }
}
