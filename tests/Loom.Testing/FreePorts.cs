using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Loom.Testing;

/// <summary>
/// Ports for programs that are told theirs and bind it later. They lie below those the kernel gives to whoever asks for any, so that nobody gets one by chance in between,
/// and this process gives each only once.
/// </summary>
public static class FreePorts
{
    private const int First = 20_000;
    private const int Last = 32_000;
    private static readonly Lock s_gate = new();
    private static int s_next = Random.Shared.Next(First, Last);

    /// <summary>One port nobody listens on.</summary>
    public static int Next() => Range(1);

    /// <summary>The same as text.</summary>
    public static string NextText() => Next().ToString(CultureInfo.InvariantCulture);

    /// <summary>The first of so many ports in a row that nobody listens on.</summary>
    public static int Range(int count)
    {
        lock (s_gate)
        {
            for (var tries = 0; tries < Last - First; tries++)
            {
                s_next = s_next + count > Last ? First : s_next;
                var first = s_next;
                s_next += count;
                if (Enumerable.Range(first, count).All(IsFree))
                {
                    return first;
                }
            }

            throw new InvalidOperationException($"no {count} free ports in a row between {First} and {Last}");
        }
    }

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
