using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Systemd;

/// <summary>
/// Speaks to the service manager that started this program (<c>NOTIFY_SOCKET</c>): ready, status, alive, stopping. Without a manager every call does nothing;
/// a message that cannot be sent is told once in the log and never harms the caller. For any thread.
/// </summary>
internal sealed partial class Notifier : IDisposable
{
    /// <summary>Variables that are meant for this program alone: a child that answered in its place would be believed.</summary>
    public static readonly string[] Variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

    private const int LongestStatus = 1000;

    private readonly Socket? _socket;
    private readonly UnixDomainSocketEndPoint? _manager;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private ITimer? _alive;
    private string? _lastStatus;
    private int _complained;

    private Notifier(UnixDomainSocketEndPoint? manager, TimeSpan? watchdog, TimeProvider time, ILogger logger)
    {
        _manager = manager;
        Watchdog = watchdog;
        _time = time;
        _logger = logger;
        _socket = manager is null ? null : new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    }

    /// <summary>Whether a service manager listens.</summary>
    public bool IsManaged => _socket is not null;

    /// <summary>How long the manager waits for a sign of life before it ends this program; null = it does not watch.</summary>
    public TimeSpan? Watchdog { get; }

    /// <summary>Reads who listens from the environment.</summary>
    /// <param name="environment">The process environment.</param>
    /// <param name="time">Clock of the signs of life.</param>
    /// <param name="logger">Told when the manager cannot be reached.</param>
    public static Notifier Of(IReadOnlyDictionary<string, string> environment, TimeProvider time, ILogger logger)
    {
        var manager = EndPointOf(environment.GetValueOrDefault("NOTIFY_SOCKET"));
        return new Notifier(manager, manager is null ? null : WatchdogOf(environment, Environment.ProcessId), time, logger);
    }

    /// <summary>The start is over; the manager begins to watch.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={Line(status)}");

    /// <summary>One line for <c>systemctl status</c>; sent only when it is another than the last.</summary>
    public void Status(string status)
    {
        if (Interlocked.Exchange(ref _lastStatus, status) != status)
        {
            Send($"STATUS={Line(status)}");
        }
    }

    /// <summary>The stop has begun.</summary>
    public void Stopping(string status) => Send($"STOPPING=1\nSTATUS={Line(status)}");

    /// <summary>Gives a sign of life at half the manager's patience, as long as <paramref name="isWell"/> says so; until disposal. Nothing where it does not watch.</summary>
    public void KeepAlive(Func<bool> isWell)
    {
        if (Watchdog is { } patience && _alive is null)
        {
            _alive = _time.CreateTimer(
                _ =>
                {
                    if (isWell())
                    {
                        Send("WATCHDOG=1");
                    }
                },
                null,
                TimeSpan.Zero,
                patience / 2);
        }
    }

    public void Dispose()
    {
        _alive?.Dispose();
        _socket?.Dispose();
    }

    /// <summary>Where <c>NOTIFY_SOCKET</c> leads: a path, or with <c>@</c> a name in the abstract space; null for anything else.</summary>
    internal static UnixDomainSocketEndPoint? EndPointOf(string? text)
    {
        try
        {
            return text switch
            {
                ['/', _, ..] => new UnixDomainSocketEndPoint(text),
                ['@', _, ..] => new UnixDomainSocketEndPoint("\0" + text[1..]),
                _ => null,
            };
        }
        catch (ArgumentException)
        {
            return null; // longer than a socket's path may be
        }
    }

    /// <summary>The manager's patience, if it is this process that it watches.</summary>
    internal static TimeSpan? WatchdogOf(IReadOnlyDictionary<string, string> environment, int self) =>
        long.TryParse(environment.GetValueOrDefault("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds) && microseconds > 0
        && (environment.GetValueOrDefault("WATCHDOG_PID") is not { } watched || watched == self.ToString(CultureInfo.InvariantCulture))
            ? TimeSpan.FromMicroseconds(microseconds)
            : null;

    // A newline would begin another message.
    private static string Line(string status)
    {
        var line = status.ReplaceLineEndings(" ");
        return line.Length > LongestStatus ? line[..LongestStatus] : line;
    }

    private void Send(string message)
    {
        try
        {
            _socket?.SendTo(Encoding.UTF8.GetBytes(message), _manager!);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            if (e is SocketException && Interlocked.Exchange(ref _complained, 1) == 0)
            {
                LogUnreachable(_logger, e.Message);
            }
        }
    }

    [LoggerMessage(EventId = 3100, Level = LogLevel.Warning, Message = "the service manager cannot be told how this runtime is (NOTIFY_SOCKET): {Reason}")]
    private static partial void LogUnreachable(ILogger logger, string reason);
}
