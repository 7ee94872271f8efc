using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Core.Storage;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Project;

/// <summary>
/// The door of a running project for other <c>loom</c> commands of the same user: a unix socket, mode 0600, peer checked, one JSON object a line each way.
/// </summary>
internal sealed partial class ControlSocket : IAsyncDisposable
{
    private const int LongestRequest = 64 * 1024;
    private const int FollowBacklog = 10_000;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly string _path;
    private readonly ISupervisor _supervisor;
    private readonly Func<RunState> _state;
    private readonly Action<bool> _down;
    private readonly ILogger _logger;
    private readonly Socket _listener;
    private readonly BackgroundLoop _loop;

    /// <summary>Binds the socket; a file left behind by a dead run is replaced, since the caller holds the project's lock.</summary>
    internal ControlSocket(string path, ISupervisor supervisor, Func<RunState> state, Action<bool> down, ILogger logger)
    {
        _path = path;
        _supervisor = supervisor;
        _state = state;
        _down = down;
        _logger = logger;
        File.Delete(path);
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            _listener.Bind(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e)
        {
            _listener.Dispose();
            throw new IOException($"cannot open the control socket '{path}': {e.Message}", e);
        }

        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite); // until here the folder's 0700 guards it
        _listener.Listen(64);
        _loop = BackgroundLoop.Start("control socket", AcceptAsync, logger);
    }

    public async ValueTask DisposeAsync()
    {
        await _loop.DisposeAsync().ConfigureAwait(false);
        _listener.Dispose();
        File.Delete(_path);
    }

    /// <summary>User id of the other end.</summary>
    internal static uint PeerUser(Socket peer)
    {
        const int SocketLevel = 1;
        const int PeerCredentials = 17;
        Span<byte> credentials = stackalloc byte[12]; // pid, uid, gid
        peer.GetRawSocketOption(SocketLevel, PeerCredentials, credentials);
        return BitConverter.ToUInt32(credentials[4..8]);
    }

    private async Task AcceptAsync(CancellationToken cancellationToken)
    {
        var clients = new HashSet<Task>();
        while (true)
        {
            Socket peer;
            try
            {
                peer = await _listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException e)
            {
                // Out of descriptors, or a client that left while it waited. The first lasts: without a pause this loop would take a whole core.
                LogClient(_logger, e.Message);
                await Task.Delay(s_pause, TimeProvider.System, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            clients.RemoveWhere(c => c.IsCompleted);
            clients.Add(ServeAsync(peer, cancellationToken));
        }

        await Task.WhenAll(clients).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task ServeAsync(Socket peer, CancellationToken cancellationToken)
    {
        using var stream = new NetworkStream(peer, ownsSocket: true);
        try
        {
            if (PeerUser(peer) is var user && user != PrivateFolder.User && user != 0)
            {
                LogStranger(_logger, user);
                return;
            }

            using var reader = new StreamReader(stream, bufferSize: 1024);
            var line = await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false);
            if (line is null || line.Length > LongestRequest)
            {
                return;
            }

            ControlRequest? request;
            try
            {
                request = JsonSerializer.Deserialize(line, ControlJson.Default.ControlRequest);
            }
            catch (JsonException e)
            {
                await WriteAsync(stream, new ControlReply { Ok = false, Error = $"not a request: {e.Message}" }, cancellationToken).ConfigureAwait(false);
                return;
            }

            await AnswerAsync(stream, request!, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // The client left, or we are going: either way nobody reads any more.
        }
        catch (Exception e)
        {
            LogClient(_logger, e.ToString());
        }
    }

    private async Task AnswerAsync(NetworkStream stream, ControlRequest request, CancellationToken cancellationToken)
    {
        switch (request.Op)
        {
            case "status":
                await WriteAsync(stream, new ControlReply { State = WithUsage(_state()) }, cancellationToken).ConfigureAwait(false);
                break;
            case "down":
                await WriteAsync(stream, new ControlReply(), cancellationToken).ConfigureAwait(false);
                _down(request.Force);
                break;
            case "start" or "stop" or "restart":
                await WriteAsync(stream, await ActAsync(request, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
                break;
            case "follow":
                await FollowAsync(stream, request, cancellationToken).ConfigureAwait(false);
                break;
            default:
                var reply = new ControlReply { Ok = false, Error = $"unknown request '{request.Op}': this loom knows status, down, start, stop, restart, follow" };
                await WriteAsync(stream, reply, cancellationToken).ConfigureAwait(false);
                break;
        }
    }

    // What they use is read when somebody asks: nothing is sampled for nobody.
    private RunState WithUsage(RunState state) => state with { Processes = [.. state.Processes.Select(p => p.With(_supervisor.Usage(p.Name)))] };

    private async Task<ControlReply> ActAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        var names = request.Name is { } one ? [one] : _supervisor.Processes.Select(p => p.Name).ToArray();
        try
        {
            await Task.WhenAll(names.Select(n => request.Op switch
            {
                "start" => _supervisor.StartAsync(n, cancellationToken),
                "stop" => _supervisor.StopAsync(n, cancellationToken),
                _ => _supervisor.RestartAsync(n, cancellationToken),
            })).ConfigureAwait(false);
            return new ControlReply { State = _state() };
        }
        catch (ArgumentException e)
        {
            return new ControlReply { Ok = false, Error = e.Message, Unknown = true };
        }
        catch (SurvivorsException e)
        {
            return new ControlReply { Ok = false, Error = e.Message };
        }
    }

    private async Task FollowAsync(NetworkStream stream, ControlRequest request, CancellationToken cancellationToken)
    {
        // A reader that is too slow loses the oldest lines, never the agents their speed.
        var lines = Channel.CreateBounded<ControlLine>(new BoundedChannelOptions(FollowBacklog) { FullMode = BoundedChannelFullMode.DropOldest });
        foreach (var process in _supervisor.Processes.Where(p => request.Name is null || p.Name == request.Name))
        {
            foreach (var earlier in _supervisor.Tail(process.Name, Math.Clamp(request.Lines, 0, 1000)))
            {
                lines.Writer.TryWrite(new ControlLine(process.Name, false, null, earlier));
            }
        }

        using var following = _supervisor.FollowOutput(l =>
        {
            if (request.Name is null || l.Name == request.Name)
            {
                lines.Writer.TryWrite(new ControlLine(l.Name, l.IsError, l.At, l.Text));
            }
        });
        await foreach (var line in lines.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            await WriteAsync(stream, new ControlReply { Line = line }, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task WriteAsync(NetworkStream stream, ControlReply reply, CancellationToken cancellationToken) =>
        await stream.WriteAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(reply, ControlJson.Default.ControlReply), (byte)'\n'], cancellationToken).ConfigureAwait(false);

    [LoggerMessage(EventId = 3010, Level = LogLevel.Warning, Message = "control socket: refused user id {User}")]
    private static partial void LogStranger(ILogger logger, uint user);

    [LoggerMessage(EventId = 3011, Level = LogLevel.Warning, Message = "control socket: {Reason}")]
    private static partial void LogClient(ILogger logger, string reason);
}
