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
public sealed partial class Transfer(HttpMessageInvoker http, ITransferDisk disk, TimeProvider time, Random random)
{
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
                $"no checksum is known for {ShownUrl.Of(request.Url)}; give its SHA-256, or allow it unverified (--allow-unverified)");
        }

        var part = request.Target + ".part";
        var resumed = false;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                resumed = await AttemptAsync(request, part, progress, cancellationToken).ConfigureAwait(false);
                return await FinishAsync(request, part, progress, cancellationToken).ConfigureAwait(false);
            }
            catch (TransferException e) when (e.Fault == TransferFault.Wrong && resumed && attempt < Attempts)
            {
                // The two ends may be of different files, whatever the server's tags said: once more, from the first byte.
                PartFile.Delete(part);
                resumed = false;
                progress.Report(new TransferProgress("download", 0, request.Bytes, "what was resumed does not fit together; starting anew"));
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
                    $"{ShownUrl.Of(request.Url)} could not be fetched in {Attempts} attempts; the last one: {e.Message}. What arrived is kept and resumed next time", e);
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

    /// <returns>Whether it went on from what was there before.</returns>
    private async Task<bool> AttemptAsync(TransferRequest request, string part, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        var (offset, validator) = PartFile.Resumable(part, request.Url);
        using var stall = new StallGuard(Stall, time, cancellationToken);
        try
        {
            using var response = await Hops.FollowAsync(http, request.Url, HttpMethod.Get, message => AskForRest(message, offset, validator), stall.Token)
                .ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
            {
                if (offset > 0 && response.Content.Headers.ContentRange?.Length == offset && offset == (request.Bytes ?? offset))
                {
                    progress.Report(new TransferProgress("download", offset, offset, "it had arrived whole before"));
                    return true; // only the check was missing
                }

                PartFile.Delete(part);
                throw new RetryException("the server's file is shorter than what was fetched before; starting anew");
            }

            Hops.Judge(response, request.Url);
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
            return resumed;
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RetryException(string.Create(CultureInfo.InvariantCulture, $"no byte for {Stall.TotalSeconds:0.##} s"), e);
        }
        catch (HttpRequestException e)
        {
            // "See inner exception" is no help to who reads it.
            throw new RetryException(e.GetBaseException().Message, e);
        }
    }

    private async Task CopyAsync(TransferRequest request, HttpResponseMessage response, string part, long offset,
        IProgress<TransferProgress> progress, StallGuard stall)
    {
        long? total = response.Content.Headers.ContentLength is { } length ? offset + length : request.Bytes;
        if (request.Bytes is { } wanted && total != wanted)
        {
            throw new TransferException(TransferFault.Wrong, $"{ShownUrl.Of(request.Url)} has {total} bytes, {wanted} were expected");
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
                throw Hops.Page(request.Url);
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
    private static async ValueTask<int> ReadAsync(Stream body, Memory<byte> buffer, CancellationToken cancellationToken)
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
                $"{ShownUrl.Of(request.Url)} has SHA-256 {found}, {wanted} was expected; the file was thrown away. Check the checksum, or whether the file changed");
        }

        DurableFile.Publish(part, request.Target);
        PartFile.DeleteNote(part);
        return new TransferResult(found, bytes, request.Sha256 is not null);
    }

    private static void AskForRest(HttpRequestMessage message, long offset, string? validator)
    {
        if (offset > 0)
        {
            message.Headers.Range = new RangeHeaderValue(offset, null);
            message.Headers.TryAddWithoutValidation("If-Range", validator);
        }
    }

    private TimeSpan PauseAfter(int attempt) => FirstPause * Math.Pow(2, attempt - 1) * (0.9 + (0.2 * random.NextDouble()));

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

    private static long Length(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;
}
