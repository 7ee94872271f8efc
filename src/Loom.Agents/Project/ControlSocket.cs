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
    private readonly ControlDesk _desk;
    private readonly Action<bool> _down;
    private readonly ILogger _logger;
    private readonly Socket _listener;
    private readonly BackgroundLoop _loop;

    /// <summary>Binds the socket; a file left behind by a dead run is replaced, since the caller holds the project's lock.</summary>
    internal ControlSocket(string path, ISupervisor supervisor, ControlDesk desk, Action<bool> down, ILogger logger)
    {
        _path = path;
        _supervisor = supervisor;
        _desk = desk;
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
                await WriteAsync(stream, ControlDesk.Refuse(ControlRefusal.BadRequest, $"not a request: {e.Message}"), cancellationToken).ConfigureAwait(false);
                return;
            }

            if (request?.Op is null)
            {
                await WriteAsync(stream, ControlDesk.Refuse(ControlRefusal.BadRequest, "not a request: it names no 'op'"), cancellationToken).ConfigureAwait(false);
                return;
            }

            await AnswerAsync(stream, reader, request, cancellationToken).ConfigureAwait(false);
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

    private async Task AnswerAsync(NetworkStream stream, StreamReader reader, ControlRequest request, CancellationToken cancellationToken)
    {
        switch (request.Op)
        {
            case ControlOps.Down:
                await WriteAsync(stream, new ControlReply(), cancellationToken).ConfigureAwait(false);
                _down(request.Force);
                break;
            case ControlOps.Follow:
                await WhilePresentAsync(reader, present => FollowAsync(stream, request, present), cancellationToken).ConfigureAwait(false);
                break;
            case var _ when ControlDesk.Waits(request):
                await WhilePresentAsync(reader, present => ReplyAsync(stream, request, present), cancellationToken).ConfigureAwait(false);
                break;
            default:
                await ReplyAsync(stream, request, cancellationToken).ConfigureAwait(false);
                break;
        }
    }

    private async Task ReplyAsync(NetworkStream stream, ControlRequest request, CancellationToken cancellationToken) =>
        await WriteAsync(stream, await _desk.AnswerAsync(request, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);

    /// <summary>Ends what a client waits for as soon as it has left: a client says nothing more after its request, so whatever can be read is its end.</summary>
    private static async Task WhilePresentAsync(StreamReader reader, Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        using var present = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var leaving = reader.ReadLineAsync(present.Token).AsTask();
        var working = work(present.Token);
        await Task.WhenAny(leaving, working).ConfigureAwait(false);
        await present.CancelAsync().ConfigureAwait(false);
        await leaving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await working.ConfigureAwait(false);
    }

    private async Task FollowAsync(NetworkStream stream, ControlRequest request, CancellationToken cancellationToken)
    {
        // A reader that is too slow loses the oldest lines, never the agents their speed.
        var lines = Channel.CreateBounded<ControlLine>(new BoundedChannelOptions(FollowBacklog) { FullMode = BoundedChannelFullMode.DropOldest });
        var names = _desk.ProcessesOf(request.Names);
        foreach (var name in names)
        {
            foreach (var earlier in _supervisor.Tail(name, Math.Clamp(request.Lines, 0, 1000)))
            {
                lines.Writer.TryWrite(new ControlLine(name, false, null, earlier));
            }
        }

        using var following = _supervisor.FollowOutput(l =>
        {
            if (request.Names is null || names.Contains(l.Name))
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
