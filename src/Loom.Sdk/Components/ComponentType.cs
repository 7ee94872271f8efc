namespace Loom.Components;

/// <summary>The role of a component in its system.</summary>
public enum ComponentType
{
    /// <summary>Brings events in; ends when its data ends or a stop is asked.</summary>
    Source,

    /// <summary>One event in, none or many out.</summary>
    Transformer,

    /// <summary>A transformer that asks a language model; it has the LLMProvider capability.</summary>
    Model,

    /// <summary>Several ports, windows, joins.</summary>
    StreamProcessor,

    /// <summary>Keyed state that emits aggregates and flushes what is open at the end.</summary>
    Accumulator,

    /// <summary>One in, several named outs.</summary>
    Router,

    /// <summary>Keyed storage that answers get, put and delete.</summary>
    Store,

    /// <summary>Reads metrics and sends control operations.</summary>
    Controller,

    /// <summary>Takes events out; confirms that they are durable when it flushes.</summary>
    Sink,

    /// <summary>HTTP in, answers by correlation id.</summary>
    ApiEndpoint,
}
