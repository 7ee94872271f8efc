using System.Net;
using System.Net.Sockets;

namespace Loom.Node.Engines;

/// <summary>The ports engines may use, handed out one each. Shared by all replicas of a node, hence the lock.</summary>
/// <param name="first">First port, inclusive.</param>
/// <param name="last">Last port, inclusive.</param>
public sealed class PortRange(int first, int last)
{
    private readonly Lock _lock = new();
    private readonly HashSet<int> _held = [];

    /// <summary>The lowest port that neither a replica holds nor another program listens on; 0 when there is none.</summary>
    public int Take()
    {
        lock (_lock)
        {
            for (var port = first; port <= last; port++)
            {
                if (!_held.Contains(port) && !IsTaken(port))
                {
                    _held.Add(port);
                    return port;
                }
            }

            return 0;
        }
    }

    /// <summary>Gives a port back.</summary>
    public void Release(int port)
    {
        lock (_lock)
        {
            _held.Remove(port);
        }
    }

    /// <summary>Whether another program listens on that port of 127.0.0.1, found by trying to.</summary>
    public static bool IsTaken(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            socket.Listen(1);
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    public override string ToString() => $"{first}-{last}";
}
