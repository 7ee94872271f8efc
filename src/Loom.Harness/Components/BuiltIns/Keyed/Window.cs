namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>One open window of one key. Changed only through <see cref="WindowTable.Own"/>, which copies it while a checkpoint is being written.</summary>
internal sealed class Window
{
    public required long Serial { get; init; }

    public required string Key { get; init; }

    /// <summary>Place among the windows of its key, for count windows.</summary>
    public long Number { get; init; }

    /// <summary>Ticks of UTC; for sessions and count windows the earliest event.</summary>
    public long Start { get; set; }

    /// <summary>Ticks of UTC, exclusive; for count windows the latest event.</summary>
    public long End { get; set; }

    public long Events { get; set; }

    public bool Mock { get; set; }

    public required Aggregate[] Aggregates { get; init; }

    /// <summary>The checkpoint before which it was last changed.</summary>
    public int Epoch { get; init; }

    public Window Copy(int epoch) => new()
    {
        Serial = Serial,
        Key = Key,
        Number = Number,
        Start = Start,
        End = End,
        Events = Events,
        Mock = Mock,
        Aggregates = Array.ConvertAll(Aggregates, a => a.Copy()),
        Epoch = epoch,
    };
}

/// <summary>The open windows of one key, few and in no order.</summary>
internal sealed class KeyWindows(bool isText)
{
    /// <summary>Whether the key was a string: then its text is written as one.</summary>
    public bool IsText { get; } = isText;

    /// <summary>Count windows that were begun.</summary>
    public long Begun { get; set; }

    public List<Window> Open { get; } = new(1);

    /// <summary>Place of the window that begins at a time; -1 when none does.</summary>
    public int IndexOf(long start)
    {
        for (var i = 0; i < Open.Count; i++)
        {
            if (Open[i].Start == start)
            {
                return i;
            }
        }

        return -1;
    }
}
