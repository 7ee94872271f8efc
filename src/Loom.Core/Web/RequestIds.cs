using System.Buffers.Binary;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary>The id that follows a request through headers, logs, engine and errors.</summary>
public static class RequestIds
{
    private const int Longest = 128;

    private static readonly Guid s_seed = Guid.NewGuid();
    private static long s_count;

    /// <summary>The client's own id when it is 1 to 128 visible ASCII characters, else a new one.</summary>
    /// <param name="headers">Headers of the request.</param>
    /// <param name="replaced">Whether the client sent one that cannot be used.</param>
    public static string Of(IHeaderDictionary headers, out bool replaced)
    {
        replaced = false;
        if (!headers.TryGetValue("x-request-id", out var given) && !headers.TryGetValue("X-Correlation-Id", out given))
        {
            return New();
        }

        var id = given.ToString();
        if (IsGood(id))
        {
            return id;
        }

        replaced = true;
        return New();
    }

    // A UUID of version 8: half of it random for this process, half a counter. A random one would cost a system call each time.
    public static string New()
    {
        Span<byte> bytes = stackalloc byte[16];
        s_seed.TryWriteBytes(bytes, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64BigEndian(bytes[8..], Interlocked.Increment(ref s_count));
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString();
    }

    public static bool IsGood(string id)
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
