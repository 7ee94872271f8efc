namespace Loom.Cli.Composition;

/// <summary>One part of a cluster that runs until it is asked to stop.</summary>
internal interface IService : IAsyncDisposable
{
    /// <summary>Addresses as they are bound, by part: <c>api</c>, <c>node</c>, <c>metrics</c>.</summary>
    IReadOnlyDictionary<string, string> Addresses { get; }

    /// <summary>Id of its run; null = it has none of its own.</summary>
    string? RunId => null;

    /// <summary>Fires when somebody asks it to stop in another way than by a signal.</summary>
    CancellationToken DownRequested => CancellationToken.None;

    /// <summary>Fires when it can do its work no more.</summary>
    CancellationToken Broken { get; }

    /// <summary>What has failed for good; null while all is well.</summary>
    Exception? Fault { get; }

    /// <summary>Ordered stop. A second call does nothing.</summary>
    /// <param name="hurry">Ends all patience.</param>
    Task StopAsync(CancellationToken hurry);
}
