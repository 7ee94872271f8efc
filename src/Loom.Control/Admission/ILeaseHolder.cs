namespace Loom.Control.Admission;

/// <summary>Why a slot is taken away from a request that holds it.</summary>
internal enum LeaseLoss
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The node is gone, or its replica; the request may run elsewhere if nothing of the answer went out.</summary>
    NodeLost,

    /// <summary>The pool is being emptied and the time its requests had is over.</summary>
    Drained,
}

/// <summary>Who works with a leased slot and must stop when it is taken away.</summary>
internal interface ILeaseHolder
{
    /// <summary>
    /// A lease is lost. Called at any moment, on any thread, without a lock of the desk, perhaps after the holder has gone on to another lease: the number
    /// tells which one is meant. The slot must still be given back with <see cref="AdmissionDesk.Release"/>.
    /// </summary>
    void Lost(long lease, LeaseLoss loss);
}
