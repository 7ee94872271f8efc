using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class RequestScanTests
{
    private const string Messages = "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]";

    [Theory]
    [InlineData("", null, "empty")]
    [InlineData("{", null, "line 1, column 2")]
    [InlineData("{\n \"model\": }", null, "line 2, column 11")]
    [InlineData("{\"model\":\"m\"," + Messages + "} x", null, "column")]
    [InlineData("\"text\"", null, "must be a JSON object, found a string")]
    [InlineData("{\"model\":1," + Messages + "}", "model", "must be a string, found the number 1")]
    [InlineData("{\"model\":\"\"," + Messages + "}", "model", "not be empty")]
    [InlineData("{\"model\":\"m\",\"messages\":{}}", "messages", "a list of messages, found an object")]
    [InlineData("{\"model\":\"m\",\"messages\":[]}", "messages", "at least one")]
    [InlineData("{\"model\":\"m\",\"messages\":[1]}", "messages[0]", "an object")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", "messages[0].role", "missing")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":1}]}", "messages[0].role", "a string")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"a\",\"role\":\"b\"}]}", "messages[0].role", "twice")]
    [InlineData("{\"model\":\"m\",\"stream\":1," + Messages + "}", "stream", "true or false")]
    [InlineData("{\"model\":\"m\",\"stream_options\":1," + Messages + "}", "stream_options", "an object")]
    [InlineData("{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}," + Messages + "}", "stream_options.include_usage", "true or false")]
    [InlineData("{\"model\":\"m\",\"max_tokens\":1.5," + Messages + "}", "max_tokens", "an integer, found the number 1.5")]
    [InlineData("{\"model\":\"m\",\"max_completion_tokens\":-1," + Messages + "}", "max_completion_tokens", "at least 1")]
    [InlineData("{\"model\":\"m\",\"temperature\":2.5," + Messages + "}", "temperature", "is 2.5, must be from 0 to 2")]
    [InlineData("{\"model\":\"m\",\"temperature\":\"hot\"," + Messages + "}", "temperature", "a number, found a string")]
    [InlineData("{\"model\":\"m\",\"stop\":[1]," + Messages + "}", "stop[0]", "a string")]
    [InlineData("{\"model\":\"m\",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]," + Messages + "}", "stop", "17 strings")]
    [InlineData("{\"model\":\"m\"," + Messages + ",\n\"model\":\"n\"}", "model", "line 2, column 1")]
    public void Check_BadChatRequest_SaysWhatAndWhere(string body, string? param, string part)
    {
        var problem = RequestScan.Check(Encoding.UTF8.GetBytes(body), InferenceRoute.Chat, out _);

        problem.ShouldNotBeNull();
        problem.Param.ShouldBe(param);
        problem.Message.ShouldContain(part);
        problem.HttpStatus.ShouldBe(400);
    }

    [Theory]
    [InlineData("{\"\\ud800\":1}")]
    [InlineData("{\"model\":\"m\"," + Messages + ",\"service_tier\":\"\\ud800\"}")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"\\udc00\":1}]}")]
    public void Check_HalfASurrogatePair_Is400WithThePlace(string body)
    {
        var problem = RequestScan.Check(Encoding.UTF8.GetBytes(body), InferenceRoute.Chat, out _);

        problem.ShouldNotBeNull();
        problem.HttpStatus.ShouldBe(400);
        problem.Message.ShouldContain("half a surrogate pair at line 1");
    }

    [Theory]
    [InlineData(62, true)]
    [InlineData(63, true)]
    [InlineData(64, false)]
    [InlineData(500, false)]
    public void Check_Nesting_64LevelsAreAllowed(int inner, bool good)
    {
        var body = $"{{\"model\":\"m\",{Messages},\"deep\":{new string('[', inner)}{new string(']', inner)}}}";

        var problem = RequestScan.Check(Encoding.UTF8.GetBytes(body), InferenceRoute.Chat, out _);

        (problem is null).ShouldBe(good, problem?.Message);
        problem?.Message.ShouldContain("deeper than 64");
    }

    [Theory]
    [InlineData(InferenceRoute.Completions, "{\"model\":\"m\"}", "prompt")]
    [InlineData(InferenceRoute.Embeddings, "{\"model\":\"m\"}", "input")]
    [InlineData(InferenceRoute.Embeddings, "{\"model\":\"m\",\"input\":7}", "input")]
    internal void Check_OtherRoutes_TheirOwnField(InferenceRoute route, string body, string param) =>
        RequestScan.Check(Encoding.UTF8.GetBytes(body), route, out _)!.Param.ShouldBe(param);

    [Fact]
    public void Check_UnknownFieldsAndNulls_Pass()
    {
        var body = "{\"model\":\"m\",\"max_tokens\":null,\"stop\":null,\"stream\":null,\"tools\":[{\"a\":[1,{\"b\":2}]}],\"x\":{\"model\":1}," + Messages + "}";

        RequestScan.Check(Encoding.UTF8.GetBytes(body), InferenceRoute.Chat, out var request).ShouldBeNull();

        body[request.ModelName].ShouldBe("m");
        request.Stream.ShouldBeFalse();
    }

    [Theory]
    [InlineData("{\"model\":\"m\",\"stream\":true,M}", "{\"stream_options\":{\"include_usage\":true},\"model\":\"up\",\"stream\":true,M}")]
    [InlineData("{ \"stream_options\" : {} ,\"model\":\"m\",\"stream\":true,M}", "{ \"stream_options\" : {\"include_usage\":true} ,\"model\":\"up\",\"stream\":true,M}")]
    [InlineData("{\"model\":\"m\",\"stream_options\":{\"a\":{\"b\":1}},\"stream\":true,M}", "{\"model\":\"up\",\"stream_options\":{\"include_usage\":true,\"a\":{\"b\":1}},\"stream\":true,M}")]
    [InlineData("{\"model\":\"m\",\"stream_options\":{\"a\":1,\"include_usage\":false},\"stream\":true,M}", "{\"model\":\"up\",\"stream_options\":{\"a\":1,\"include_usage\":true},\"stream\":true,M}")]
    [InlineData("{\"model\":\"m\",\"stream_options\":null,\"stream\":true,M}", "{\"model\":\"up\",\"stream_options\":{\"include_usage\":true},\"stream\":true,M}")]
    [InlineData("{\"model\":\"m\",\"stream_options\":{\"include_usage\":true},\"stream\":true,M}", "{\"model\":\"up\",\"stream_options\":{\"include_usage\":true},\"stream\":true,M}")]
    [InlineData("{\"model\":\"m\",M}", "{\"model\":\"up\",M}")]
    public async Task Splices_Applied_ChangeNothingElse(string body, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(body.Replace("M", Messages, StringComparison.Ordinal));
        RequestScan.Check(bytes, InferenceRoute.Chat, out var request).ShouldBeNull();

        using var content = new UpstreamBody(bytes, Splices.Of(request, "\"up\""u8.ToArray(), askUsage: true));
        var sent = await content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        sent.ShouldBe(expected.Replace("M", Messages, StringComparison.Ordinal));
        content.Headers.ContentLength.ShouldBe(sent.Length);
    }

    [Fact]
    public void Check_AnyBytes_NeverThrows()
    {
        var good = Encoding.UTF8.GetBytes("{\"model\":\"m\",\"stream\":true,\"stop\":[\"a\"],\"stream_options\":{\"include_usage\":false},\"max_tokens\":5," + Messages + "}");
        var damage = Gen.Choose(0, good.Length - 1).SelectMany(_ => Gen.Choose(0, 255), (at, value) => (At: at, Value: (byte)value)).ListOf(3);
        Prop.ForAll(damage.ToArbitrary(), changes =>
        {
            var body = good.ToArray();
            foreach (var (at, value) in changes)
            {
                body[at] = value;
            }

            if (RequestScan.Check(body, InferenceRoute.Chat, out var request) is null)
            {
                // What was found must lie inside the body, or a splice would tear it.
                body[request.ModelName].Length.ShouldBeGreaterThan(0);
                Splices.Of(request, "\"up\""u8.ToArray(), askUsage: true).ShouldAllBe(s => s.Start >= 0 && s.Start <= s.End && s.End <= body.Length);
            }
        }).QuickCheckThrowOnFailure();
    }
}
