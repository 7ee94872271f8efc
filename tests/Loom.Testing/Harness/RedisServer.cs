using System.Net;
using System.Net.Sockets;

namespace Loom.Testing.Harness;

/// <summary>A real redis-server of one test, on a free loopback port, its files in a folder of its own.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string[] _settings;
    private Child? _child;

    private RedisServer(int port, string[] settings) => (Port, _settings) = (port, settings);

    public int Port { get; }

    public string Url => $"redis://127.0.0.1:{Port}/0";

    public int Pid => _child!.Pid;

    /// <summary>Starts it with everything flushed at once (<c>appendfsync always</c>), and more settings over that.</summary>
    public static async Task<RedisServer> StartAsync(params string[] settings)
    {
        var server = new RedisServer(FreePorts.Next(), settings);
        await server.StartAgainAsync().ConfigureAwait(false);
        return server;
    }

    /// <summary>A server that is not there yet, at a port that is free.</summary>
    public static RedisServer Later(params string[] settings) => new(FreePorts.Next(), settings);

    /// <summary>Starts it, again with what it had stored.</summary>
    public async Task StartAgainAsync()
    {
        _child = Child.Start(
            _folder.Path,
            ["redis-server", "--bind", "127.0.0.1", "--port", $"{Port}", "--dir", _folder.Path, "--save", "", "--appendonly", "yes", "--appendfsync", "always", .. _settings]);
        await Deadline.Until(() => _child.Output.Contains("Ready to accept connections", StringComparison.Ordinal), $"redis-server ready: {_child.Output}").ConfigureAwait(false);
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _child!.Signal(9);
        await _child.Exited.ConfigureAwait(false);
        await _child.DisposeAsync().ConfigureAwait(false);
        _child = null;
    }

    /// <summary>Sends it one command, words parted by spaces, and waits for its answer.</summary>
    public async Task CommandAsync(string command)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port).ConfigureAwait(false);
        var stream = client.GetStream();
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(command + "\r\n")).ConfigureAwait(false);
        var answer = new byte[256];
        var count = await stream.ReadAsync(answer).ConfigureAwait(false);
        if (answer[0] != '+')
        {
            throw new InvalidOperationException($"redis-server answered {System.Text.Encoding.ASCII.GetString(answer, 0, count)} to {command}");
        }
    }

    /// <summary>Sends it a signal: 19 freezes it, 18 lets it go on.</summary>
    public void Signal(int signal) => _child!.Signal(signal);

    public async ValueTask DisposeAsync()
    {
        if (_child is not null)
        {
            await _child.DisposeAsync().ConfigureAwait(false);
        }

        _folder.Dispose();
    }
}
