namespace Loom.Core.Queues;

/// <summary>What a full queue does with a newcomer.</summary>
public enum OverflowPolicy
{
    /// <summary>
    /// An arriving interactive entry evicts the oldest waiting batch entry, else the oldest waiting interactive one; an arriving batch entry evicts
    /// only batch entries and is otherwise refused.
    /// </summary>
    DropLru,

    /// <summary>The newcomer is refused.</summary>
    RejectNew,
}

/// <summary>The two classes of waiting work.</summary>
public enum QueueClass
{
    /// <summary>Somebody is watching; goes first.</summary>
    Interactive,

    /// <summary>Can wait; competes as interactive once it has waited for the queue's batch patience.</summary>
    Batch,
}
