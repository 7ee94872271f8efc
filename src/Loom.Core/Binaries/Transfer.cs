using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Loom.Core.Storage;

namespace Loom.Core.Binaries;

/// <summary>
/// Fetches a file so that it is there whole and checked, or not at all: a part file that survives cuts, resumed only while the server's file is the same,
/// verified, flushed and renamed.
/// </summary>
/// <param name="http">Sends requests; it must not follow redirects itself (see <see cref="CreateClient"/>).</param>
/// <param name="disk">The disk.</param>
/// <param name="time">Clock of pauses and of the stall limit.</param>
/// <param name="random">Jitter of pauses.</param>
public sealed class Transfer(HttpMessageInvoker http, ITransferDisk disk, TimeProvider time, Random random)
{
    private const int MaxRedirects = 10;

    /// <summary>Total attempts. Default 5.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>Time without a byte after which an attempt is given up. Default 30 s.</summary>
    public TimeSpan Stall { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>First pause between attempts, doubling. Default 1 s.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A client fit for transfers: proxy variables honoured, redirects left to <see cref="Transfer"/>.</summary>
    public static HttpMessageInvoker CreateClient() =>
        new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            AutomaticDecompression = DecompressionMethods.None,
        });

    /// <summary>Fetches the file, resuming what an earlier call left. The caller holds the artifact's lock.</summary>
    /// <exception cref="TransferException">It could not be had; a part file worth resuming is kept, anything else is gone.</exception>
    public async Task<TransferResult> FetchAsync(TransferRequest request, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        if (request.Sha256 is null && !request.AllowUnverified)
        {
            throw new TransferException(TransferFault.Refused,
                $"no checksum is known for {request.Url}; give its SHA-256, or allow it unverified (--allow-unverified)");
        }

        var part = request.Target + ".part";
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await AttemptAsync(request, part, progress, cancellationToken).ConfigureAwait(false);
                return await FinishAsync(request, part, progress, cancellationToken).ConfigureAwait(false);
            }
            catch (RetryException e) when (attempt < Attempts)
            {
                var pause = PauseAfter(attempt);
                progress.Report(new TransferProgress("download", Length(part), request.Bytes,
                    string.Create(CultureInfo.InvariantCulture, $"attempt {attempt} of {Attempts}: {e.Message}; next in {pause.TotalSeconds:0.#} s")));
                await Task.Delay(pause, time, cancellationToken).ConfigureAwait(false);
            }
            catch (RetryException e)
            {
                throw new TransferException(TransferFault.Unreachable,
                    $"{request.Url} could not be fetched in {Attempts} attempts; the last one: {e.Message}. What arrived is kept and resumed next time", e);
            }
            catch (TransferException e) when (e.Fault == TransferFault.Wrong)
            {
                PartFile.Delete(part); // nothing of it is worth going on from
                throw;
            }
            catch (IOException e) when (TransferDisk.IsFull(e))
            {
                PartFile.Delete(part);
                throw new TransferException(TransferFault.DiskFull, $"the disk of '{Path.GetDirectoryName(part)}' is full; free some space and try again", e);
            }
        }
    }

    /// <summary>
    /// The checksum a model hub publishes for a large file: its answer redirects to the storage and carries the SHA-256 as <c>X-Linked-ETag</c>.
    /// </summary>
    /// <returns>64 hex digits; null when the server has the file and says none.</returns>
    /// <exception cref="TransferException">The server does not have the file or does not give it, or failed in every attempt.</exception>
    public async Task<string?> PublishedSha256Async(Uri url, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await AskSha256Async(url, cancellationToken).ConfigureAwait(false);
            }
            catch (RetryException) when (attempt < Attempts)
            {
                await Task.Delay(PauseAfter(attempt), time, cancellationToken).ConfigureAwait(false);
            }
            catch (RetryException e)
            {
                throw new TransferException(TransferFault.Unreachable, $"{url} could not be asked for in {Attempts} attempts; the last one: {e.Message}", e);
            }
        }
    }

    private async Task<string?> AskSha256Async(Uri url, CancellationToken cancellationToken)
    {
        using var stall = new StallGuard(Stall, time, cancellationToken);
        try
        {
            var at = url;
            for (var hop = 0; hop <= MaxRedirects; hop++)
            {
                using var message = new HttpRequestMessage(HttpMethod.Head, at);
                message.Headers.UserAgent.Add(new ProductInfoHeaderValue("loom", null));
                using var response = await http.SendAsync(message, stall.Token).ConfigureAwait(false);
                if (response.Headers.TryGetValues("X-Linked-ETag", out var tags))
                {
                    var tag = tags.First().Trim('"');
                    return tag.Length == 64 && tag.All(char.IsAsciiHexDigit) ? tag.ToLowerInvariant() : null;
                }

                if (Redirect(at, response) is not { } next)
                {
                    // A storage may be open to the signed GET only; the hub itself has sent us there.
                    if (at.Host == url.Host || (int)response.StatusCode is not (401 or 403))
                    {
                        Judge(response, url);
                    }

                    return null;
                }

                at = next;
            }
        }
        catch (HttpRequestException e)
        {
            throw new RetryException(e.Message, e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RetryException(string.Create(CultureInfo.InvariantCulture, $"no answer for {Stall.TotalSeconds:0.##} s"), e);
        }

        throw new TransferException(TransferFault.Wrong, $"{url}: more than {MaxRedirects} redirects");
    }

    private async Task AttemptAsync(TransferRequest request, string part, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        var (offset, validator) = PartFile.Resumable(part, request.Url);
        using var stall = new StallGuard(Stall, time, cancellationToken);
        try
        {
            using var response = await SendAsync(request.Url, offset, validator, stall.Token).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
            {
                if (offset > 0 && response.Content.Headers.ContentRange?.Length == offset && offset == (request.Bytes ?? offset))
                {
                    progress.Report(new TransferProgress("download", offset, offset, "it had arrived whole before"));
                    return; // only the check was missing
                }

                PartFile.Delete(part);
                throw new RetryException("the server's file is shorter than what was fetched before; starting anew");
            }

            Judge(response, request.Url);
            var resumed = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == offset;
            if (response.StatusCode == HttpStatusCode.PartialContent && !resumed)
            {
                PartFile.Delete(part);
                throw new RetryException("the server answered with another range than was asked for; starting anew");
            }

            if (offset > 0)
            {
                var note = resumed ? $"resumed at byte {offset}" : "the server's file has changed or cannot be resumed; starting anew";
                progress.Report(new TransferProgress("download", resumed ? offset : 0, request.Bytes, note));
            }

            await CopyAsync(request, response, part, resumed ? offset : 0, progress, stall).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RetryException(string.Create(CultureInfo.InvariantCulture, $"no byte for {Stall.TotalSeconds:0.##} s"), e);
        }
        catch (HttpRequestException e)
        {
            throw new RetryException(e.Message, e);
        }
    }

    private async Task CopyAsync(TransferRequest request, HttpResponseMessage response, string part, long offset,
        IProgress<TransferProgress> progress, StallGuard stall)
    {
        long? total = response.Content.Headers.ContentLength is { } length ? offset + length : request.Bytes;
        if (request.Bytes is { } wanted && total != wanted)
        {
            throw new TransferException(TransferFault.Wrong, $"{request.Url} has {total} bytes, {wanted} were expected");
        }

        CheckRoom(part, total is { } t ? t - offset : 0);
        PartFile.Note(part, request.Url, Validator(response));
        var buffer = new byte[1 << 17];
        await using var file = disk.Open(part, append: offset > 0, request.Mode);
        await using var body = await response.Content.ReadAsStreamAsync(stall.Token).ConfigureAwait(false);
        var done = offset;
        for (int read; (read = await ReadAsync(body, buffer, stall.Token).ConfigureAwait(false)) > 0; stall.Reset())
        {
            if (done == 0 && LooksLikeWebPage(buffer.AsSpan(0, read)))
            {
                throw Page(request.Url);
            }

            await file.WriteAsync(buffer.AsMemory(0, read), stall.Token).ConfigureAwait(false);
            done += read;
            progress.Report(new TransferProgress("download", done, total, null));
        }

        file.Flush(flushToDisk: true);
        if (total is { } all && done != all)
        {
            throw new RetryException($"{done} of {all} bytes arrived");
        }
    }

    /// <summary>Reads the body; a fault of the network must not pass for one of the disk.</summary>
    private static async ValueTask<int> ReadAsync(Stream body, byte[] buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await body.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new RetryException($"the connection was cut: {e.Message}", e);
        }
    }

    private static async Task<TransferResult> FinishAsync(TransferRequest request, string part, IProgress<TransferProgress> progress,
        CancellationToken cancellationToken)
    {
        var bytes = Length(part);
        progress.Report(new TransferProgress("verify", bytes, bytes, null));
        var found = await Checksum.OfFileAsync(part, cancellationToken).ConfigureAwait(false);
        if (request.Sha256 is { } wanted && !found.Equals(wanted, StringComparison.OrdinalIgnoreCase))
        {
            throw new TransferException(TransferFault.Wrong,
                $"{request.Url} has SHA-256 {found}, {wanted} was expected; the file was thrown away. Check the checksum, or whether the file changed");
        }

        DurableFile.Publish(part, request.Target);
        PartFile.DeleteNote(part);
        return new TransferResult(found, bytes, request.Sha256 is not null);
    }

    private async Task<HttpResponseMessage> SendAsync(Uri url, long offset, string? validator, CancellationToken cancellationToken)
    {
        for (var hop = 0; hop <= MaxRedirects; hop++)
        {
            using var message = new HttpRequestMessage(HttpMethod.Get, url);
            message.Headers.UserAgent.Add(new ProductInfoHeaderValue("loom", null));
            if (offset > 0)
            {
                message.Headers.Range = new RangeHeaderValue(offset, null);
                message.Headers.TryAddWithoutValidation("If-Range", validator);
            }

            var response = await http.SendAsync(message, cancellationToken).ConfigureAwait(false);
            if (Redirect(url, response) is not { } next)
            {
                return response;
            }

            response.Dispose();
            url = next;
        }

        throw new TransferException(TransferFault.Wrong, $"{url}: more than {MaxRedirects} redirects");
    }

    /// <summary>Where an answer sends us; null when it is no redirect. https never leads to http.</summary>
    private static Uri? Redirect(Uri url, HttpResponseMessage response)
    {
        if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
        {
            return null;
        }

        var next = new Uri(url, location);
        return next.Scheme == Uri.UriSchemeHttps || (url.Scheme != Uri.UriSchemeHttps && next.Scheme == Uri.UriSchemeHttp)
            ? next
            : throw new TransferException(TransferFault.Refused, $"{url} redirects to {next}, which is not https; refused");
    }

    private TimeSpan PauseAfter(int attempt) => FirstPause * Math.Pow(2, attempt - 1) * (0.9 + (0.2 * random.NextDouble()));

    private static void Judge(HttpResponseMessage response, Uri url)
    {
        var status = (int)response.StatusCode;
        switch (status)
        {
            case 200 or 206 when response.Content.Headers.ContentType?.MediaType is "text/html" or "application/xhtml+xml":
                throw Page(url);
            case 200 or 206:
                return;
            case 404 or 410:
                throw new TransferException(TransferFault.NotFound, $"{url} answered {status}: there is no such file");
            case 408 or 429 or >= 500:
                throw new RetryException($"the server answered {status}");
            default:
                throw new TransferException(TransferFault.NotFound, $"{url} answered {status} {response.ReasonPhrase}");
        }
    }

    private void CheckRoom(string part, long missing)
    {
        var folder = Path.GetDirectoryName(part)!;
        var needed = (long)(missing * 1.1);
        if (disk.FreeBytes(folder) is var free && free < needed)
        {
            throw new TransferException(TransferFault.DiskFull,
                $"'{folder}' has {free} bytes free, {needed} are needed (1.1 times what is missing); free some space or choose another folder");
        }
    }

    private static string? Validator(HttpResponseMessage response) =>
        response.Headers.ETag is { IsWeak: false } tag ? tag.Tag : response.Content.Headers.LastModified?.ToString("R", CultureInfo.InvariantCulture);

    private static bool LooksLikeWebPage(ReadOnlySpan<byte> start)
    {
        var text = start[..Math.Min(64, start.Length)];
        var trimmed = System.Text.Encoding.ASCII.GetString(text).TrimStart();
        return trimmed.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase) || trimmed.StartsWith("<html", StringComparison.OrdinalIgnoreCase);
    }

    private static TransferException Page(Uri url) => new(TransferFault.Wrong,
        $"{url} answered with a web page, not with the file; open it in a browser to see why");

    private static long Length(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    /// <summary>An attempt failed in a way that another one may not.</summary>
    private sealed class RetryException(string message, Exception? cause = null) : Exception(message, cause);

    /// <summary>Ends an attempt when nothing arrives for a while.</summary>
    private sealed class StallGuard : IDisposable
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
}
