using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>Sends bytes to the client and ends the call when the client accepts none for too long.</summary>
internal sealed class ClientWriter(CallWatch watch, TimeSpan stallTimeout)
{
    private HttpContext _http = null!;

    public void Reset(HttpContext http) => _http = http;

    /// <summary>Adds bytes to what the next flush sends.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => _http.Response.BodyWriter.Append(bytes);

    /// <summary>Sends what was written. Waits only while the client's buffer is full.</summary>
    public ValueTask FlushAsync()
    {
        var flush = _http.Response.BodyWriter.FlushAsync(CancellationToken.None);
        return flush.IsCompletedSuccessfully ? Consumed(flush) : AwaitAsync(flush);
    }

    // A value task must be consumed even when nobody needs its result.
    private static async ValueTask Consumed(ValueTask<System.IO.Pipelines.FlushResult> flush) => await flush.ConfigureAwait(false);

    private async ValueTask AwaitAsync(ValueTask<System.IO.Pipelines.FlushResult> flush)
    {
        watch.Expect(EndCause.ClientStall, stallTimeout);
        // A flush into a full connection ends only by space or by the end of the connection.
        await using var abort = watch.Token.UnsafeRegister(static http => ((HttpContext)http!).Abort(), _http).ConfigureAwait(false);
        await flush.ConfigureAwait(false);
    }
}
