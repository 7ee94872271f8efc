using System.Net;

namespace Loom.Core.Web;

/// <summary>Counts failed logins by address in windows of one second. Forgets everything at each new window, so it cannot grow without bound.</summary>
public sealed class LoginLimiter(TimeProvider time)
{
    /// <summary>Failed logins one address may have in a second.</summary>
    public const int MostPerSecond = 20;

    private const int MostAddresses = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<IPAddress, int> _failures = [];
    private long _window;

    /// <summary>Whether the address has used up its failures of this second.</summary>
    public bool IsBlocked(IPAddress address)
    {
        lock (_gate)
        {
            Turn();
            return _failures.TryGetValue(address, out var count) && count >= MostPerSecond;
        }
    }

    /// <summary>Counts one failure.</summary>
    public void Failed(IPAddress address)
    {
        lock (_gate)
        {
            Turn();
            if (_failures.Count < MostAddresses || _failures.ContainsKey(address))
            {
                _failures[address] = _failures.GetValueOrDefault(address) + 1;
            }
        }
    }

    private void Turn()
    {
        var window = time.GetTimestamp() / time.TimestampFrequency;
        if (window != _window)
        {
            _window = window;
            _failures.Clear();
        }
    }
}
