using System.Net;
using System.Text;

namespace Loom.Fast.Tests.Harness.Ends;

/// <summary>A server without a network: keeps what it was sent and answers what it was told.</summary>
internal sealed class StubHttp(Func<HttpRequestMessage, string, HttpResponseMessage> answer) : HttpMessageHandler
{
    public List<(HttpRequestMessage Request, string Body)> Seen { get; } = [];

    public static (HttpClient Client, StubHttp Stub) Of(int status, string body, params (string Name, string Value)[] headers) => Of((_, _) => Answer(status, body, headers));

    public static (HttpClient Client, StubHttp Stub) Of(Func<HttpRequestMessage, string, HttpResponseMessage> answer)
    {
        var stub = new StubHttp(answer);
        return (new HttpClient(stub), stub);
    }

    public static HttpResponseMessage Answer(int status, string body, params (string Name, string Value)[] headers)
    {
        var response = new HttpResponseMessage((HttpStatusCode)status) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers)
        {
            response.Headers.TryAddWithoutValidation(name, value);
        }

        return response;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        Seen.Add((request, body));
        return answer(request, body);
    }
}
