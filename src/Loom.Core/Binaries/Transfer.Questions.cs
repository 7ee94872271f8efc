using System.Globalization;
using System.Text;

namespace Loom.Core.Binaries;

// Small questions that are asked before a file is fetched. They have the attempts and the stall limit of a transfer.
public sealed partial class Transfer
{
    private const int LargestText = 1 << 20;

    /// <summary>
    /// The checksum a model hub publishes for a large file: its answer redirects to the storage and carries the SHA-256 as <c>X-Linked-ETag</c>.
    /// </summary>
    /// <returns>64 hex digits; null when the server has the file and says none.</returns>
    /// <exception cref="TransferException">The server does not have the file or does not give it, or failed in every attempt.</exception>
    public Task<string?> PublishedSha256Async(Uri url, CancellationToken cancellationToken) => AskAsync(url, async stop =>
    {
        var at = url;
        for (var hop = 0; hop <= Hops.Most; hop++)
        {
            using var response = await Hops.AskAsync(http, at, HttpMethod.Head, _ => { }, stop).ConfigureAwait(false);
            if (response.Headers.TryGetValues("X-Linked-ETag", out var tags))
            {
                var tag = tags.First().Trim('"');
                return tag.Length == 64 && tag.All(char.IsAsciiHexDigit) ? tag.ToLowerInvariant() : null;
            }

            if (Hops.Redirect(at, response) is not { } next)
            {
                // A storage may be open to the signed GET only; the hub itself has sent us there.
                if (at.Host == url.Host || (int)response.StatusCode is not (401 or 403))
                {
                    Hops.Judge(response, url);
                }

                return null;
            }

            at = next;
        }

        throw Hops.TooMany(url);
    }, cancellationToken);

    /// <summary>A small text document, at most 1 MiB.</summary>
    /// <returns>Its content; null when the server has no such document.</returns>
    /// <exception cref="TransferException">It is too large or a web page, or the server failed in every attempt.</exception>
    public Task<string?> TextAsync(Uri url, CancellationToken cancellationToken) => AskAsync(url, async stop =>
    {
        using var response = await Hops.FollowAsync(http, url, HttpMethod.Get, _ => { }, stop).ConfigureAwait(false);
        return await TextOfAsync(response, url, stop).ConfigureAwait(false);
    }, cancellationToken);

    /// <summary>Whether the server has a file.</summary>
    /// <exception cref="TransferException">The server failed in every attempt.</exception>
    public async Task<bool> ExistsAsync(Uri url, CancellationToken cancellationToken) => await AskAsync(url, async stop =>
    {
        using var response = await Hops.FollowAsync(http, url, HttpMethod.Head, _ => { }, stop).ConfigureAwait(false);
        try
        {
            Hops.Judge(response, url);
            return "yes";
        }
        catch (TransferException e) when (e.Fault is TransferFault.NotFound or TransferFault.Wrong)
        {
            return null;
        }
    }, cancellationToken).ConfigureAwait(false) is not null;

    /// <summary>
    /// The version an address stands for: that of the last part of a redirect's target (<c>.../tag/v1.2.0</c>), else the first line of the document.
    /// </summary>
    /// <returns>The version as the server spells it; null when the server has no such document.</returns>
    /// <exception cref="TransferException">What came names no version, or the server failed in every attempt.</exception>
    internal Task<string?> VersionAsync(Uri url, CancellationToken cancellationToken) => AskAsync(url, async stop =>
    {
        var at = url;
        for (var hop = 0; hop <= Hops.Most; hop++)
        {
            using var response = await Hops.AskAsync(http, at, HttpMethod.Get, _ => { }, stop).ConfigureAwait(false);
            if (Hops.Redirect(at, response) is not { } next)
            {
                var line = (await TextOfAsync(response, url, stop).ConfigureAwait(false))?.Split('\n')[0].Trim();
                return line is null || Loom.Runtime.BinaryNames.IsVersion(line)
                    ? line
                    : throw new TransferException(TransferFault.Wrong, $"{ShownUrl.Of(url)} names no version; a redirect to one, or a text of one line, was expected");
            }

            if (Uri.UnescapeDataString(next.Segments[^1].TrimEnd('/')) is var last && Loom.Runtime.BinaryNames.IsVersion(last))
            {
                return last;
            }

            at = next;
        }

        throw Hops.TooMany(url);
    }, cancellationToken);

    private static async Task<string?> TextOfAsync(HttpResponseMessage response, Uri url, CancellationToken cancellationToken)
    {
        try
        {
            Hops.Judge(response, url);
        }
        catch (TransferException e) when (e.Fault == TransferFault.NotFound && (int)response.StatusCode is 404 or 410)
        {
            return null;
        }

        using var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var buffer = new byte[LargestText + 1];
        var length = 0;
        for (int read; length < buffer.Length && (read = await ReadAsync(body, buffer.AsMemory(length), cancellationToken).ConfigureAwait(false)) > 0;)
        {
            length += read;
        }

        if (length > LargestText)
        {
            throw new TransferException(TransferFault.Wrong, $"{ShownUrl.Of(url)} is larger than {LargestText} bytes, which no such document is");
        }

        return LooksLikeWebPage(buffer.AsSpan(0, length)) ? throw Hops.Page(url)
            : response.Content.Headers.ContentLength is { } said && said != length ? throw new RetryException($"{length} of {said} bytes arrived")
            : Encoding.UTF8.GetString(buffer, 0, length);
    }

    private async Task<string?> AskAsync(Uri url, Func<CancellationToken, Task<string?>> question, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            using var stall = new StallGuard(Stall, time, cancellationToken);
            string trouble;
            Exception cause;
            try
            {
                return await question(stall.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is HttpRequestException or RetryException)
            {
                (trouble, cause) = (e.Message, e);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                (trouble, cause) = (string.Create(CultureInfo.InvariantCulture, $"no answer for {Stall.TotalSeconds:0.##} s"), e);
            }

            if (attempt >= Attempts)
            {
                throw new TransferException(
                    TransferFault.Unreachable, $"{ShownUrl.Of(url)} could not be asked for in {Attempts} attempts; the last one: {trouble}", cause);
            }

            await Task.Delay(PauseAfter(attempt), time, cancellationToken).ConfigureAwait(false);
        }
    }
}
