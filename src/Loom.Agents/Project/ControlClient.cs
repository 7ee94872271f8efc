using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Loom.Agents.Project;

/// <summary>Speaks to the running project of a folder. Each call is one connection.</summary>
public sealed class ControlClient(string socketPath)
{
    /// <summary>Asks once.</summary>
    /// <returns>The answer, or null when nobody listens there.</returns>
    /// <exception cref="IOException">The runtime broke off before it had answered.</exception>
    public async Task<ControlReply?> AskAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        using var stream = await ConnectAsync(request, cancellationToken).ConfigureAwait(false);
        if (stream is null)
        {
            return null;
        }

        using var reader = new StreamReader(stream);
        var line = await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        return line is null
            ? throw new IOException($"the runtime behind '{socketPath}' went away before it answered")
            : JsonSerializer.Deserialize(line, ControlJson.Default.ControlReply);
    }

    /// <summary>Follows the output of an agent or a process, or of all, until the runtime ends or the token fires; nothing when nobody listens there.</summary>
    public async IAsyncEnumerable<ControlLine> FollowAsync(string? name, int earlier, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stream = await ConnectAsync(new ControlRequest(ControlOps.Follow) { Names = name is null ? null : [name], Lines = earlier }, cancellationToken).ConfigureAwait(false);
        if (stream is null)
        {
            yield break;
        }

        using var reader = new StreamReader(stream);
        while (await ReadAsync(reader, cancellationToken).ConfigureAwait(false) is { } line)
        {
            if (JsonSerializer.Deserialize(line, ControlJson.Default.ControlReply)?.Line is { } item)
            {
                yield return item;
            }
        }
    }

    private static async Task<string?> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (IOException)
        {
            return null; // the runtime ended: so does the stream
        }
    }

    private async Task<NetworkStream?> ConnectAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken).ConfigureAwait(false);
            var stream = new NetworkStream(socket, ownsSocket: true);
            await stream.WriteAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(request, ControlJson.Default.ControlRequest), (byte)'\n'], cancellationToken)
                .ConfigureAwait(false);
            return stream;
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            socket.Dispose();
            return null;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
