using System.Globalization;
using Loom.Control.Catalog;
using Loom.Control.Sessions;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>Headers that tell what became of a request on its way, and which of the engine's own headers the client gets.</summary>
internal static class LoomHeaders
{
    private static readonly string[] s_small = [.. Enumerable.Range(0, 256).Select(n => n.ToString(CultureInfo.InvariantCulture))];

    /// <summary>Sets pool, node, wait, attempts, mock marker and what is left of the session's budgets.</summary>
    public static void Describe(IHeaderDictionary headers, Replica replica, double queueMs, int attempts, SessionTurn? turn = null)
    {
        headers["x-loom-pool"] = replica.Status.Id.PoolId;
        headers["x-loom-node"] = replica.Status.Id.NodeId;
        headers["x-loom-queue-ms"] = Text((long)queueMs);
        headers["x-loom-attempts"] = Text(attempts);
        if (replica.Status.Mock)
        {
            headers["x-loom-mock"] = "true";
        }

        turn?.Describe(headers);
    }

    /// <summary>Headers of a streamed answer: nothing on the way may hold it back or store it.</summary>
    public static void Stream(IHeaderDictionary headers)
    {
        headers.ContentType = "text/event-stream";
        headers.CacheControl = "no-cache";
        headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>Copies what the engine or provider says about its own answer.</summary>
    public static void CopyFrom(HttpResponseMessage upstream, IHeaderDictionary headers)
    {
        foreach (var header in upstream.Headers.NonValidated)
        {
            if (Passes(header.Key) && header.Value.ToString() is var value && IsVisible(value))
            {
                headers.Append(header.Key, value);
            }
        }
    }

    /// <summary>Whether a header may have this value: printable ASCII. The web server refuses to send anything else.</summary>
    public static bool IsVisible(string value) => !value.AsSpan().ContainsAnyExceptInRange(' ', '~');

    private static bool Passes(string name) =>
        name.Equals("Retry-After", StringComparison.OrdinalIgnoreCase) || name.StartsWith("openai-", StringComparison.OrdinalIgnoreCase)
        || (name.StartsWith("x-", StringComparison.OrdinalIgnoreCase)
            && !name.StartsWith("x-loom-", StringComparison.OrdinalIgnoreCase)
            && !name.Equals("x-request-id", StringComparison.OrdinalIgnoreCase)
            && !name.Equals("x-accel-buffering", StringComparison.OrdinalIgnoreCase)
            && !name.Equals("x-correlation-id", StringComparison.OrdinalIgnoreCase));

    private static string Text(long number) => number < s_small.Length ? s_small[number] : number.ToString(CultureInfo.InvariantCulture);
}
