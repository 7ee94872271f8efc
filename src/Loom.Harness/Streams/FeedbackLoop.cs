namespace Loom.Harness.Streams;

/// <summary>What a stream is to a loop of bindings.</summary>
internal enum LoopPlace
{
    /// <summary>It brings events in from outside: they are admitted one by one.</summary>
    Entry,

    /// <summary>It joins two components of the loop.</summary>
    Inner,

    /// <summary>It closes the loop: it never makes its writer wait, and its events belong to a checkpoint.</summary>
    Back,
}

/// <summary>
/// The components that a feedback binding joins to a cycle, as far as their events are counted. Events come in from outside only while fewer than <c>max_in_flight</c> are under way, so the binding that goes back
/// always has room for them and bounded buffers cannot deadlock. The loop is over when everything outside has ended and nothing is under way.
/// </summary>
/// <remarks>
/// Under way = admitted + written within − finished. All of these only grow, so they may be read one after the other: read in the order finished, written, admitted, they never make fewer than there are; read twice
/// alike, they all held at one moment.
/// </remarks>
internal sealed class FeedbackLoop(int maxInFlight)
{
    private readonly Lock _lock = new();
    private readonly List<Func<long>> _finished = [];
    private readonly List<Signal> _entryReaders = [];
    private readonly List<Action> _atEnd = [];
    private readonly List<Action> _injectors = [];
    private int _openEntries;
    private long _admitted;
    private long _written;
    private long _lost;
    private bool _entryWaits;
    private bool _injectionWaits;
    private volatile bool _over;

    /// <summary>Events the loop holds.</summary>
    public int MaxInFlight => maxInFlight;

    /// <summary>Whether nothing will go round any more.</summary>
    public bool IsOver => _over;

    /// <summary>Adds a component.</summary>
    /// <param name="finished">How many events it took and is done with, in whatever way.</param>
    /// <param name="inject">Says that an event from outside the streams, for which there was no room, may be let in now.</param>
    public void AddMember(Func<long> finished, Action inject)
    {
        _finished.Add(finished);
        _injectors.Add(inject);
    }

    /// <summary>Adds a stream from outside.</summary>
    /// <param name="reader">Wakes its reader.</param>
    public void AddEntry(Signal reader)
    {
        _openEntries++;
        _entryReaders.Add(reader);
    }

    /// <summary>What is to be done once when the loop is over.</summary>
    public void AtEnd(Action then) => _atEnd.Add(then);

    /// <summary>An event from outside wants in; false while the loop is full, and then its reader is woken when it no longer is.</summary>
    public bool TryAdmit()
    {
        lock (_lock)
        {
            if (!HasRoom())
            {
                return false;
            }

            _admitted++;
            return true;
        }
    }

    /// <summary>
    /// An event from outside the streams wants into a component of the loop. False while the loop is full, and then the components are told when it no longer is, and once the loop is over.
    /// Whoever is let in and does not come is <see cref="Lost"/>.
    /// </summary>
    public bool TryInject()
    {
        lock (_lock)
        {
            if (_over)
            {
                return false;
            }

            if (InFlight() >= maxInFlight)
            {
                _injectionWaits = true;
                return false;
            }

            _admitted++;
            return true;
        }
    }

    /// <summary>Whether an event from outside would be let in; as <see cref="TryAdmit"/> otherwise.</summary>
    public bool MayAdmit()
    {
        lock (_lock)
        {
            return HasRoom();
        }
    }

    /// <summary>Events were written into a stream of the loop. A full fence, so that whoever sees their parent finished sees them.</summary>
    public void Wrote(long events = 1) => Interlocked.Add(ref _written, events);

    /// <summary>Events left a stream of the loop without being handled.</summary>
    public void Lost(long events) => Interlocked.Add(ref _lost, events);

    /// <summary>A stream from outside has ended and is empty.</summary>
    public void EntryEnded() => Interlocked.Decrement(ref _openEntries);

    /// <summary>A component of the loop has taken an event or is about to wait: lets those in who waited for room, and finds out whether the loop is over.</summary>
    public void Look()
    {
        var over = false;
        lock (_lock)
        {
            if (_entryWaits && InFlight() < maxInFlight)
            {
                _entryWaits = false;
                foreach (var reader in _entryReaders)
                {
                    reader.Set();
                }
            }

            if (_injectionWaits && InFlight() < maxInFlight)
            {
                _injectionWaits = false;
                foreach (var inject in _injectors)
                {
                    inject();
                }
            }

            if (!_over && Volatile.Read(ref _openEntries) == 0 && IsEmpty())
            {
                _over = over = true;
            }
        }

        if (over)
        {
            foreach (var then in _atEnd)
            {
                then();
            }
        }
    }

    private bool HasRoom()
    {
        if (InFlight() < maxInFlight)
        {
            return true;
        }

        _entryWaits = true;
        return false;
    }

    private long InFlight()
    {
        var finished = Finished();
        return Interlocked.Read(ref _written) + _admitted - finished;
    }

    private bool IsEmpty()
    {
        var (finished, written) = (Finished(), Interlocked.Read(ref _written));
        return written + _admitted == finished && finished == Finished() && written == Interlocked.Read(ref _written);
    }

    private long Finished()
    {
        var finished = Interlocked.Read(ref _lost);
        foreach (var of in _finished)
        {
            finished += of();
        }

        return finished;
    }
}
