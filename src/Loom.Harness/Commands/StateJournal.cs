using System.Text.Json;

namespace Loom.Harness.Commands;

/// <summary>
/// What brings a component's state back after a crash: the state it told last, and the items it has answered since, which are sent to it again with their results
/// dropped. Not safe for two threads.
/// </summary>
internal sealed class StateJournal
{
    private const int MostItems = 10_000;
    private const long MostBytes = 64 << 20;

    private readonly List<CommandItem> _since = [];
    private long _bytes;

    /// <summary>The state it told last; null = it began without.</summary>
    public JsonElement? State { get; private set; }

    public IReadOnlyList<CommandItem> Since => _since;

    /// <summary>It is time to ask for the state, so that the journal can begin anew.</summary>
    public bool IsFull => _since.Count >= MostItems || _bytes >= MostBytes;

    /// <summary>The state is known as of now.</summary>
    public void Begin(JsonElement? state)
    {
        State = state;
        _since.Clear();
        _bytes = 0;
    }

    /// <summary>An item was answered.</summary>
    public void Add(CommandItem item)
    {
        _since.Add(item);
        _bytes += item.Bytes;
    }
}
