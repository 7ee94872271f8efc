using Microsoft.AspNetCore.Http;

namespace Loom.Control.Api;

/// <summary>The id that follows a request through headers, logs, engine and errors.</summary>
internal static class RequestIds
{
    private const int Longest = 128;

    /// <summary>The client's own id when it is 1 to 128 visible ASCII characters, else a new one.</summary>
    /// <param name="headers">Headers of the request.</param>
    /// <param name="replaced">Whether the client sent one that cannot be used.</param>
    public static string Of(IHeaderDictionary headers, out bool replaced)
    {
        replaced = false;
        if (!headers.TryGetValue("x-request-id", out var given) && !headers.TryGetValue("X-Correlation-Id", out given))
        {
            return Guid.NewGuid().ToString();
        }

        var id = given.ToString();
        if (IsGood(id))
        {
            return id;
        }

        replaced = true;
        return Guid.NewGuid().ToString();
    }

    internal static bool IsGood(string id)
    {
        foreach (var c in id)
        {
            if (c is <= ' ' or > '~')
            {
                return false;
            }
        }

        return id.Length is >= 1 and <= Longest;
    }
}
