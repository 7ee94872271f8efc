using System.IO.Pipelines;
using Loom.Core.Web;
using Loom.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Web;

public sealed class SlowBodyTests
{
    [Fact]
    public async Task Body_ThatDoesNotArrive_Is408()
    {
        var time = new ManualTimeProvider();
        var keeper = new Gatekeeper(new GateOptions { Address = System.Net.IPAddress.Loopback, AllowedHosts = ["localhost"] }, time, NullLogger.Instance);
        var routes = new RouteTable([new ApiRoute("POST", "/v2/things", Scopes.None, static call => call.ReadBytesAsync(100).AsTask())]);
        var server = new RouteServer(routes, keeper, NullLogger.Instance, marks: true);
        var body = new Pipe();
        var http = new DefaultHttpContext();
        http.Request.Method = "POST";
        http.Request.Path = "/v2/things";
        http.Request.Host = new HostString("localhost");
        http.Request.Body = body.Reader.AsStream();

        var running = server.HandleAsync(http);
        await body.Writer.WriteAsync("{"u8.ToArray(), TestContext.Current.CancellationToken);
        time.Advance(TimeSpan.FromSeconds(29));
        running.IsCompleted.ShouldBeFalse();
        time.Advance(TimeSpan.FromSeconds(2));

        await running.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);
        http.Response.StatusCode.ShouldBe(408);
        http.Response.Headers.Connection.ToString().ShouldBe("close");
        http.Response.Headers[RouteServer.OwnError].ToString().ShouldBe("1", "an agent's own error");
    }
}
