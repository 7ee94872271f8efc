using System.Collections.Immutable;
using System.Net.Sockets;
using System.Text.Json;

namespace Loom.Runtime;

/// <summary>Asks the running project of a folder how its processes are, over its control socket.</summary>
internal static class RunningStatus
{
    /// <summary>Looks once.</summary>
    /// <returns>The processes; null when nobody answers.</returns>
    public static async Task<ImmutableArray<ProcessInfo>?> AskAsync(string project, CancellationToken cancellationToken)
    {
        try
        {
            using var file = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(project, ".loom", "run", "state.json"), cancellationToken).ConfigureAwait(false));
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(file.RootElement.GetProperty("socket").GetString()!), cancellationToken).ConfigureAwait(false);
            using var stream = new NetworkStream(socket);
            await stream.WriteAsync("{\"op\":\"status\"}\n"u8.ToArray(), cancellationToken).ConfigureAwait(false);
            using var reader = new StreamReader(stream);
            if (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is not { } line)
            {
                return null;
            }

            using var reply = JsonDocument.Parse(line);
            return [.. reply.RootElement.GetProperty("state").GetProperty("processes").EnumerateArray().Select(ProcessInfo.Read)];
        }
        catch (Exception e) when (e is IOException or SocketException or JsonException or UnauthorizedAccessException or KeyNotFoundException)
        {
            return null; // not up yet, or not any more
        }
    }
}
