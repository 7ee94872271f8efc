using System.Collections.Concurrent;

namespace Loom.Agents.Plans;

/// <summary>Remembers which port was given to whom, so that a new plan of the same run asks for no other. Safe for many threads.</summary>
/// <param name="pick">Finds a free port.</param>
public sealed class PortBook(Func<int> pick)
{
    private readonly ConcurrentDictionary<string, Lazy<int>> _ports = new(StringComparer.Ordinal);

    /// <summary>The port of a name; never the port of another one.</summary>
    public int Of(string name) => _ports.GetOrAdd(name, _ => new Lazy<int>(Pick)).Value;

    private int Pick()
    {
        // Two free ports asked for one after the other may be the same.
        const int Attempts = 20;
        var port = pick();
        for (var i = 0; i < Attempts && _ports.Values.Any(p => p.IsValueCreated && p.Value == port); i++)
        {
            port = pick();
        }

        return port;
    }
}
