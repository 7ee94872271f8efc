using System.Text;
using System.Text.Json.Serialization;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Web;

public sealed class RouteTableTests
{
    private static readonly RouteTable s_table = new(
    [
        Route("GET", "/v2/nodes"),
        Route("GET", "/v2/nodes/{id}"),
        Route("DELETE", "/v2/nodes/{id}"),
        Route("POST", "/v2/nodes/register"),
        Route("POST", "/v2/nodes/{id}/drain"),
        Route("GET", "/v1/models/{*id}"),
    ]);

    [Theory]
    [InlineData("GET", "/v2/nodes", "/v2/nodes")]
    [InlineData("HEAD", "/v2/nodes", "/v2/nodes")]
    [InlineData("GET", "/v2/nodes/a", "/v2/nodes/{id}")]
    [InlineData("POST", "/v2/nodes/register", "/v2/nodes/register")]
    [InlineData("DELETE", "/v2/nodes/register", "/v2/nodes/{id}")]
    [InlineData("POST", "/v2/nodes/a/drain", "/v2/nodes/{id}/drain")]
    [InlineData("GET", "/v1/models/org/name:q4", "/v1/models/{*id}")]
    public void Find_KnownPath_MostLiteralTemplateThatHasTheMethod(string method, string path, string template) =>
        s_table.Find(method, path)!.Route!.Template.ShouldBe(template);

    [Theory]
    [InlineData("/v2/node")]
    [InlineData("/v2/nodes/a/b")]
    [InlineData("/v1/models")]
    [InlineData("/")]
    public void Find_UnknownPath_Null(string path) => s_table.Find("GET", path).ShouldBeNull();

    [Fact]
    public void Find_KnownPathOtherMethod_TellsTheMethods()
    {
        var match = s_table.Find("PUT", "/v2/nodes/a")!;
        match.Route.ShouldBeNull();
        match.Allowed.Split(", ").ShouldBe(["GET", "HEAD", "DELETE"], ignoreOrder: true);
        match.Scope.ShouldBe(Scopes.Manage);
    }

    [Theory]
    [InlineData("GET", "/v2/nodes/gpu-1", "gpu-1")]
    [InlineData("GET", "/v1/models/org/name", "org/name")]
    public void Call_PathValue_AsItStands(string method, string path, string id) => Call(method, path)["id"].ShouldBe(id);

    [Theory]
    [InlineData("/v2/nodes/..")]
    [InlineData("/v2/nodes/.")]
    [InlineData("/v2/nodes/")]
    [InlineData("/v2/nodes/a\0b")]
    [InlineData("/v1/models/../secret")]
    [InlineData("/v1/models/a//b")]
    [InlineData("/v2/nodes/a..b")]
    [InlineData("/v2/nodes/..%2fb")]
    [InlineData("/v2/nodes/a%2Fb")]
    [InlineData("/v1/models/..%2Fsecret")]
    public void Call_PathValueThatCouldClimb_Refused(string path) =>
        Should.Throw<ProblemException>(() => Call("GET", path)["id"]).Problem.Code.ShouldBe(ProblemCode.InvalidParams);

    [Fact]
    public void Call_RestWithEscapedSlash_IsWhatIsMeant() => Call("GET", "/v1/models/org%2Fname")["id"].ShouldBe("org/name");

    [Fact]
    public void Call_PathValueOver128Characters_Refused() =>
        Should.Throw<ProblemException>(() => Call("GET", "/v2/nodes/" + new string('x', 129))["id"]);

    [Theory]
    [InlineData("""{"name":"x","count":1}""", null)]
    [InlineData("""{"name":"x","conut":1}""", "did you mean 'count'")]
    [InlineData("""{"name":"x","inner":{"depht":1}}""", "inner.depht")]
    [InlineData("""{"name":"x","count":"many"}""", "count")]
    [InlineData("""{"name":"x","count":"many"}""", "field 'count' has a value of the wrong type")]
    [InlineData("""{"name":"x","name":"y"}""", "name")]
    [InlineData("""{"name":"x",}""", "line 1, column")]
    [InlineData("""[]""", "")]
    [InlineData("""null""", "null")]
    [InlineData("""{"count":1}""", "name")]
    public void JsonBody_Strict_NamesTheMistakeAndItsPlace(string json, string? told)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        if (told is null)
        {
            JsonBody.Read(bytes, BodyJson.Default.Body, strict: true).Count.ShouldBe(1);
            return;
        }

        var problem = Should.Throw<ProblemException>(() => JsonBody.Read(bytes, BodyJson.Default.Body, strict: true)).Problem;
        problem.HttpStatus.ShouldBe(400);
        $"{problem.Param} {problem.Message}".ShouldContain(told);
    }

    [Fact]
    public void JsonBody_Lenient_IgnoresUnknownFields() =>
        JsonBody.Read(Encoding.UTF8.GetBytes("""{"name":"x","new_in_2030":{"a":[1]}}"""), BodyJson.Default.Body, strict: false).Name.ShouldBe("x");

    private static ApiRoute Route(string method, string template) => new(method, template, Scopes.Manage, _ => Task.CompletedTask);

    private static ApiCall Call(string method, string path) => new(new DefaultHttpContext(), s_table.Find(method, path)!, "id", Caller.Anonymous, TimeProvider.System);
}

internal sealed record Body
{
    public required string Name { get; init; }

    public int Count { get; init; }

    public Inner? Inner { get; init; }
}

internal sealed record Inner(int Depth);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Body))]
internal sealed partial class BodyJson : JsonSerializerContext;
