using System.Net.Http.Headers;
using System.Text;

namespace Loom.Core.Binaries;

/// <summary>One question to a web server, followed through its redirects, and what its answers mean to a transfer.</summary>
internal static class Hops
{
    public const int Most = 10;

    /// <summary>Sends a request and follows redirects; https never leads to http. Name and password of an address go to that address alone.</summary>
    /// <exception cref="TransferException">Too many redirects, or one to http.</exception>
    public static async Task<HttpResponseMessage> FollowAsync(
        HttpMessageInvoker http, Uri url, HttpMethod method, Action<HttpRequestMessage> prepare, CancellationToken cancellationToken)
    {
        var at = url;
        for (var hop = 0; hop <= Most; hop++)
        {
            var response = await AskAsync(http, at, method, prepare, cancellationToken).ConfigureAwait(false);
            if (Redirect(at, response) is not { } next)
            {
                return response;
            }

            response.Dispose();
            at = next;
        }

        throw TooMany(url);
    }

    /// <summary>Sends one request.</summary>
    public static async Task<HttpResponseMessage> AskAsync(
        HttpMessageInvoker http, Uri url, HttpMethod method, Action<HttpRequestMessage> prepare, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(method, url);
        message.Headers.UserAgent.Add(new ProductInfoHeaderValue("loom", null));
        if (url.UserInfo.Length > 0)
        {
            var user = Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(url.UserInfo)));
            message.Headers.Authorization = new AuthenticationHeaderValue("Basic", user);
        }

        prepare(message);
        return await http.SendAsync(message, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Where an answer sends us; null when it is no redirect.</summary>
    public static Uri? Redirect(Uri url, HttpResponseMessage response)
    {
        if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
        {
            return null;
        }

        var next = new Uri(url, location);
        return next.Scheme == Uri.UriSchemeHttps || (url.Scheme != Uri.UriSchemeHttps && next.Scheme == Uri.UriSchemeHttp)
            ? next
            : throw new TransferException(TransferFault.Refused, $"{ShownUrl.Of(url)} redirects to {ShownUrl.Of(next)}, which is not https; refused");
    }

    /// <summary>Passes an answer that holds a file; anything else is thrown as what it means.</summary>
    public static void Judge(HttpResponseMessage response, Uri url)
    {
        var status = (int)response.StatusCode;
        switch (status)
        {
            case 200 or 206 when response.Content.Headers.ContentType?.MediaType is "text/html" or "application/xhtml+xml":
                throw Page(url);
            case 200 or 206:
                return;
            case 404 or 410:
                throw new TransferException(TransferFault.NotFound, $"{ShownUrl.Of(url)} answered {status}: there is no such file");
            case 408 or 429 or >= 500:
                throw new RetryException($"the server answered {status}");
            default:
                throw new TransferException(TransferFault.NotFound, $"{ShownUrl.Of(url)} answered {status} {response.ReasonPhrase}");
        }
    }

    public static TransferException Page(Uri url) => new(TransferFault.Wrong,
        $"{ShownUrl.Of(url)} answered with a web page, not with the file; open it in a browser to see why");

    public static TransferException TooMany(Uri url) => new(TransferFault.Wrong, $"{ShownUrl.Of(url)}: more than {Most} redirects");
}

/// <summary>An attempt failed in a way that another one may not.</summary>
internal sealed class RetryException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>Ends an attempt when nothing arrives for a while.</summary>
internal sealed class StallGuard : IDisposable
{
    private readonly CancellationTokenSource _silence;
    private readonly CancellationTokenSource _both;
    private readonly TimeSpan _limit;

    public StallGuard(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        _limit = limit;
        _silence = new CancellationTokenSource(limit, time);
        _both = CancellationTokenSource.CreateLinkedTokenSource(_silence.Token, cancellationToken);
    }

    public CancellationToken Token => _both.Token;

    public void Reset() => _silence.CancelAfter(_limit);

    public void Dispose()
    {
        _both.Dispose();
        _silence.Dispose();
    }
}
