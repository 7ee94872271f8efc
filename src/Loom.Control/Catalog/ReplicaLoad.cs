using Loom.Control.Admission;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>
/// Work in flight on one run of a replica: from the moment it has an address until it has another one. Read and written only by the admission desk, under
/// its lock.
/// </summary>
/// <param name="id">The replica.</param>
/// <param name="url">Address of this run; null while it has none, and then it has no work either.</param>
internal sealed class ReplicaLoad(ReplicaId id, string? url)
{
    private Ticket? _first;

    /// <summary>The replica.</summary>
    public ReplicaId Id { get; } = id;

    /// <summary>Address of the run.</summary>
    public string? Url { get; } = url;

    /// <summary>Slots in use: those that tickets hold and those that settle.</summary>
    public int Leases { get; private set; }

    /// <summary>Slots whose requests were cancelled and which the engine has not reported idle yet. Part of <see cref="Leases"/>.</summary>
    public int Settling { get; private set; }

    /// <summary>True from a refused connection until the node speaks again or a second has passed: no work is sent meanwhile.</summary>
    public bool Suspect { get; set; }

    /// <summary>The replica in the newest snapshot; null once its node names this run no more.</summary>
    public Replica? Current { get; set; }

    /// <summary>When it last became free of work, or began, as a timestamp of the desk's clock.</summary>
    public long IdleSince { get; set; }

    /// <summary>True while another model is loaded in place of this one: no work is sent.</summary>
    public bool Swapping { get; set; }

    /// <summary>Arrival number of the request for another model that has been overtaken for long enough; the largest number when there is none.</summary>
    public long KeptForRank { get; set; } = long.MaxValue;

    /// <summary>Whether that request is batch work, which interactive work may overtake.</summary>
    public bool KeptForBatch { get; set; }

    /// <summary>Completed once no slot is in use; null when nobody waits for that.</summary>
    public TaskCompletionSource? WhenQuiet { get; set; }

    /// <summary>The tickets that hold a slot, in no order. The list must not change meanwhile.</summary>
    public IEnumerable<Ticket> Holders
    {
        get
        {
            for (var ticket = _first; ticket is not null; ticket = ticket.NextHolder)
            {
                yield return ticket;
            }
        }
    }

    /// <summary>Whether a request must not be placed here, because an older one waits for the replica to be idle.</summary>
    public bool IsKeptFrom(long rank, bool interactive) => rank > KeptForRank && !(KeptForBatch && interactive);

    /// <summary>Gives a slot to a ticket.</summary>
    public void Add(Ticket ticket)
    {
        Leases++;
        ticket.PreviousHolder = null;
        ticket.NextHolder = _first;
        _first?.PreviousHolder = ticket;
        _first = ticket;
    }

    /// <summary>Takes the slot of a ticket back.</summary>
    /// <param name="ticket">Holder.</param>
    /// <param name="settles">Whether the engine may still be busy with it: the slot stays in use until <see cref="Settled"/>.</param>
    public void Remove(Ticket ticket, bool settles)
    {
        if (ticket.PreviousHolder is { } previous)
        {
            previous.NextHolder = ticket.NextHolder;
        }
        else
        {
            _first = ticket.NextHolder;
        }

        ticket.NextHolder?.PreviousHolder = ticket.PreviousHolder;
        ticket.NextHolder = null;
        ticket.PreviousHolder = null;
        if (settles)
        {
            Settling++;
        }
        else
        {
            Free(1);
        }
    }

    /// <summary>The engine is done with cancelled requests.</summary>
    /// <param name="slots">How many.</param>
    public void Settled(int slots)
    {
        Settling -= slots;
        Free(slots);
    }

    private void Free(int slots)
    {
        Leases -= slots;
        if (Leases == 0 && WhenQuiet is { } waiter)
        {
            WhenQuiet = null;
            waiter.SetResult();
        }
    }
}
