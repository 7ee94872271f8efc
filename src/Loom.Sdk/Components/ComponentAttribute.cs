namespace Loom.Components;

/// <summary>Names a component and says what it promises; the checker, the guarantees and the reference page are made from it.</summary>
/// <param name="name">How <c>uses</c> names it; built-ins use plain names, your own a dotted one (<c>acme.chunker</c>).</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class ComponentAttribute(string name) : Attribute
{
    /// <summary>How <c>uses</c> names it.</summary>
    public string Name { get; } = name;

    /// <summary>Its role.</summary>
    public ComponentType Type { get; set; }

    /// <summary>One sentence for people.</summary>
    public string Summary { get; set; } = "";

    /// <summary>Version of its contract (ports, config, ids); a new number changes every lock that uses it. 1 by default.</summary>
    public int Version { get; set; } = 1;

    /// <summary>Version of the state it writes; handed back to <see cref="Component.RestoreAsync"/>. 0 means that it keeps none.</summary>
    public int StateVersion { get; set; }

    /// <summary>A source that can read again from an offset.</summary>
    public bool Replayable { get; set; }

    /// <summary>A source whose events are acknowledged one by one.</summary>
    public bool Acknowledges { get; set; }

    /// <summary>A sink that shows one result however often an event arrives: by its id, its key, or by staging until a checkpoint.</summary>
    public bool Idempotent { get; set; }

    /// <summary>A component whose effect outside the system can repeat after a crash.</summary>
    public bool SideEffects { get; set; }

    /// <summary>Items in work at once where the system does not say; 1 by default.</summary>
    public int Concurrency { get; set; } = 1;

    /// <summary>It handles one event at a time, for the sake of its state; a system that asks for more <c>concurrency</c> is refused.</summary>
    public bool OneAtATime { get; set; }

    /// <summary>Events in a batch where the system says nothing of batching; 0, the default, means one by one.</summary>
    public int BatchItems { get; set; }
}

/// <summary>Declares an input port of a class with a loop of its own.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = true)]
public sealed class InputAttribute(string name, Type data) : Attribute
{
    /// <summary>The port's name.</summary>
    public string Name { get; } = name;

    /// <summary>Payload of its events.</summary>
    public Type Data { get; } = data;

    /// <summary>Whether the system must bind it; true by default.</summary>
    public bool Required { get; set; } = true;
}

/// <summary>Declares an output port of a class with a loop of its own.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = true)]
public sealed class OutputAttribute(string name, Type data) : Attribute
{
    /// <summary>The port's name.</summary>
    public string Name { get; } = name;

    /// <summary>Payload of its events.</summary>
    public Type Data { get; } = data;
}
