namespace Loom.Components;

/// <summary>What a component gets when it is set up.</summary>
public abstract class SetupContext
{
    /// <summary>Its name in the system.</summary>
    public abstract string Name { get; }

    /// <summary>The system's name.</summary>
    public abstract string System { get; }

    /// <summary>The folder of the system, absolute.</summary>
    public abstract string Directory { get; }

    /// <summary>The time everything in the system goes by.</summary>
    public abstract TimeProvider Time { get; }

    /// <summary>Its metrics.</summary>
    public abstract IComponentMetrics Metrics { get; }

    /// <summary>Hands over something to dispose: after cleanup, or at once when setup fails, in reverse order of handing over.</summary>
    /// <returns>The same resource.</returns>
    public abstract T Own<T>(T resource)
        where T : notnull;

    /// <summary>A path below or beside the system's folder for reading, absolute and with links resolved.</summary>
    /// <exception cref="ItemException">The path guardrails forbid it: <c>path_refused</c>.</exception>
    public abstract string ReadPath(string path);

    /// <summary>A path that may be written: inside the folders of <c>policy.write_paths</c>.</summary>
    /// <exception cref="ItemException">The path lies elsewhere: <c>path_refused</c>.</exception>
    public abstract string WritePath(string path);

    /// <summary>Whether this run takes checkpoints: then output may be staged until <see cref="ItemComponent{TIn, TOut}.CommitAsync"/>; otherwise nothing will ever commit it.</summary>
    public virtual bool TakesCheckpoints => false;

    /// <summary>Whether a component may speak to this address: its host is one of <c>policy.security.allow_hosts</c>.</summary>
    public virtual bool MayCall(Uri address) => false;

    /// <summary>An output port declared by <see cref="AsksAttribute"/>.</summary>
    /// <exception cref="InvalidOperationException">There is no such port, or nothing is bound to it.</exception>
    public virtual IAsk Ask(string port) => throw new InvalidOperationException($"there is no port \"{port}\" to ask by");
}

/// <summary>What a component with a loop of its own gets.</summary>
public abstract class ProcessContext
{
    /// <summary>Its name in the system.</summary>
    public abstract string Name { get; }

    /// <summary>The time everything in the system goes by.</summary>
    public abstract TimeProvider Time { get; }

    /// <summary>Its metrics.</summary>
    public abstract IComponentMetrics Metrics { get; }

    /// <summary>Asked to stop softly: a source ends, others go on until their inputs end. Distinct from the token of ProcessAsync.</summary>
    public abstract CancellationToken Stopping { get; }

    /// <summary>Ends a wait for input, which then returns true without an event: for a component that is also given work from elsewhere. May be called by any thread.</summary>
    public virtual void Wake()
    {
    }

    /// <summary>
    /// Has a function called once everything this component has sent so far, and all that came of it, is confirmed by sinks or is a dead letter; where the system keeps state, once a
    /// checkpoint holds it. Those who wait are told together, while the component waits for input. For the component's own loop.
    /// </summary>
    /// <param name="acknowledge">Called once; never when the run fails before.</param>
    public abstract void WhenConfirmed(Func<ValueTask> acknowledge);

    /// <summary>A declared input port.</summary>
    /// <exception cref="InvalidOperationException">There is no such port, or it carries another type.</exception>
    public abstract IInput<T> In<T>(string port = "in");

    /// <summary>A declared output port.</summary>
    /// <exception cref="InvalidOperationException">There is no such port, or it carries another type.</exception>
    public abstract IOutput<T> Out<T>(string port = "out");

    /// <summary>Runs one event through the component's capability chain around a handler; for classes that declare <see cref="IUsesChain"/>. One call at a time.</summary>
    /// <exception cref="ItemException">A capability refused the event, or the handler failed in its last attempt.</exception>
    public abstract ValueTask ExecuteAsync<T>(Event<T> e, Func<Event<T>, CancellationToken, ValueTask> handler, CancellationToken ct);

    // Who runs the loops of the bases below.
    internal abstract IComponentRunner Runner { get; }
}

/// <summary>What a component gets when it is cleaned up.</summary>
/// <param name="Failure">What ended it, or null after an orderly end.</param>
public sealed record CleanupContext(Exception? Failure);

/// <summary>An input port: the streams bound to it, merged by its fan-in.</summary>
public interface IInput<T>
{
    /// <summary>Waits until an event can be read or somebody calls <see cref="ProcessContext.Wake"/>; false when every binding has ended. Checkpoints happen inside this call.</summary>
    ValueTask<bool> WaitToReadAsync(CancellationToken ct);

    /// <summary>Takes the next event if there is one. Taking one says that the one before is done.</summary>
    bool TryRead(out Event<T> e);
}

/// <summary>An output port: the streams bound to it, by its distribution.</summary>
public interface IOutput<T>
{
    /// <summary>Sends one event; waits while a stream it must enter is full. One caller at a time.</summary>
    ValueTask SendAsync(Event<T> e, CancellationToken ct);
}

/// <summary>Counters and values of a component, shown under its name; label values must be few.</summary>
public interface IComponentMetrics
{
    /// <summary>Adds to a counter <c>loom_harness_component_NAME_total</c>.</summary>
    void Count(string name, long by = 1);

    /// <summary>Sets a gauge <c>loom_harness_component_NAME</c>.</summary>
    void Set(string name, double value);

    /// <summary>Adds to a series of a counter. Labels are words of a short list, never a key or an id: two of them at most, and 100 series a component.</summary>
    void Count(string name, long by, IReadOnlyDictionary<string, string> labels) => Count(name, by);

    /// <summary>Sets a series of a gauge, with labels like those of a counter; a name that ends in <c>_total</c> is a count kept by whoever sets it.</summary>
    void Set(string name, double value, IReadOnlyDictionary<string, string> labels) => Set(name, value);
}

/// <summary>A class with its own loop that runs its events through the chain by <see cref="ProcessContext.ExecuteAsync"/>.</summary>
#pragma warning disable CA1040 // A mark the checker looks for; there is nothing to implement.
public interface IUsesChain;
#pragma warning restore CA1040
