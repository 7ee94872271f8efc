namespace Loom.Components;

/// <summary>Runs the loops of the component bases; each base hands itself over with its types, so nothing is found by reflection.</summary>
internal interface IComponentRunner
{
    Task RunAsync<T>(Source<T> source, CancellationToken ct);

    Task RunAsync<TIn, TOut>(ItemComponent<TIn, TOut> component, CancellationToken ct);
}

/// <summary>A source, whatever it reads.</summary>
internal interface ISeekable
{
    ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct);
}

/// <summary>A component that makes staged output visible, whatever its types.</summary>
internal interface ICommits
{
    ValueTask CommitAsync(CancellationToken ct);
}

/// <summary>A component that takes requests from outside as soon as its <see cref="Component.ProcessAsync"/> first waits: a system is not ready before.</summary>
internal interface IEntrance;
