using System.Net;
using System.Net.Sockets;

namespace Loom.Cli.Composition;

/// <summary>Finds a port for an agent that asks for any.</summary>
internal static class FreePort
{
    /// <summary>A port of 127.0.0.1 that nobody listens on at this moment.</summary>
    public static int Pick()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
