using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>Running measurements of one model, whatever name it is asked for by. Read and written only by the admission desk, under its lock.</summary>
internal sealed class ModelStats
{
    private const double Weight = 0.2;
    private Dictionary<ReplicaId, LoadFailure>? _failures;
    private double _loadMs;
    private double _tokens;

    /// <summary>Moving average of the time from dispatch to the first byte, in milliseconds; 0 until measured.</summary>
    public double FirstTokenMs { get; private set; }

    /// <summary>Moving average of the time per generated token after the first, in milliseconds.</summary>
    public double TokenMs { get; private set; }

    /// <summary>Whether a request has been measured.</summary>
    public bool Measured { get; private set; }

    /// <summary>Measured time from spawn to ready, in milliseconds; null until measured.</summary>
    public double? LoadMs => _loadMs > 0 ? _loadMs : null;

    /// <summary>Why the model could not be loaded a moment ago, where that is newest; null = nothing stands against loading it anywhere.</summary>
    public LoadFailure? NewestFailure => _failures?.Values.Where(f => !f.IsOver).MaxBy(f => f.Until);

    /// <summary>Requests for this model that wait, interactive ones.</summary>
    public int WaitingInteractive { get; set; }

    /// <summary>Requests for this model that wait, batch ones.</summary>
    public int WaitingBatch { get; set; }

    /// <summary>Requests for this model that wait.</summary>
    public int Waiting => WaitingInteractive + WaitingBatch;

    /// <summary>Expected time a request holds a slot, in milliseconds.</summary>
    /// <param name="mostTokens">Tokens it may generate at most; null = not said.</param>
    public double ServiceMs(int? mostTokens = null) => FirstTokenMs + (TokenMs * (mostTokens < _tokens ? mostTokens.Value : _tokens));

    /// <summary>Takes a finished request into account.</summary>
    /// <param name="firstTokenMs">Dispatch to first byte.</param>
    /// <param name="decodeMs">First to last byte.</param>
    /// <param name="tokens">Tokens generated, 0 or more.</param>
    public void Observe(double firstTokenMs, double decodeMs, long tokens)
    {
        var perToken = decodeMs / Math.Max(1, tokens);
        var weight = Measured ? Weight : 1;
        FirstTokenMs += weight * (firstTokenMs - FirstTokenMs);
        TokenMs += weight * (perToken - TokenMs);
        _tokens += weight * (Math.Max(1, tokens) - _tokens);
        Measured = true;
    }

    /// <summary>Whether a replica failed to load the model a moment ago, so that it is not asked again yet.</summary>
    public bool FailsOn(ReplicaId replica) => _failures is not null && _failures.TryGetValue(replica, out var failure) && !failure.IsOver;

    /// <summary>Loads that failed one after the other on a replica.</summary>
    public int FailedLoads(ReplicaId replica) => _failures is not null && _failures.TryGetValue(replica, out var failure) ? failure.Count : 0;

    /// <summary>A replica could not load the model.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="reason">Why.</param>
    /// <param name="now">When, as a timestamp of the desk's clock.</param>
    /// <param name="until">When the next attempt may begin there, likewise.</param>
    public void Failed(ReplicaId replica, string reason, long now, long until) =>
        (_failures ??= [])[replica] = new LoadFailure(reason, now, until, FailedLoads(replica) + 1);

    /// <summary>Whether a replica has failed to load the model at or after a timestamp.</summary>
    public bool HasFailedSince(ReplicaId replica, long since) => _failures is not null && _failures.TryGetValue(replica, out var failure) && failure.At >= since;

    /// <summary>A replica has the model.</summary>
    public void Loaded(ReplicaId replica) => _failures?.Remove(replica);

    /// <summary>Lets the replicas try again whose time has come.</summary>
    public void EndFailures(long now)
    {
        if (_failures is null)
        {
            return;
        }

        foreach (var failure in _failures.Values)
        {
            failure.IsOver = failure.Until <= now;
        }
    }

    /// <summary>Takes a finished load into account.</summary>
    public void ObserveLoad(double ms) => _loadMs = _loadMs == 0 ? ms : _loadMs + (Weight * (ms - _loadMs));
}

/// <summary>A load that failed.</summary>
/// <param name="Reason">Why.</param>
/// <param name="At">When, as a timestamp of the desk's clock.</param>
/// <param name="Until">When the next attempt may begin, likewise.</param>
/// <param name="Count">Failures one after the other, this one included.</param>
internal sealed record LoadFailure(string Reason, long At, long Until, int Count)
{
    /// <summary>Whether that time has come; the count lives on.</summary>
    public bool IsOver { get; set; }
}

/// <summary>Counters of round-robin placement: one for each set of replicas that was asked for. Used only by the admission desk, under its lock.</summary>
internal sealed class RouteTurns
{
    // Filters come from requests; more than this at once is no rotation any more.
    private const int MostFilters = 256;

    private Dictionary<string, uint>? _byFilter;
    private uint _turn;

    /// <summary>The next turn of the route without any filter.</summary>
    public uint Next() => _turn++;

    /// <summary>The next turn of a filter.</summary>
    public uint Next(string filter)
    {
        _byFilter ??= new Dictionary<string, uint>(StringComparer.Ordinal);
        if (!_byFilter.TryGetValue(filter, out var turn) && _byFilter.Count >= MostFilters)
        {
            _byFilter.Clear();
        }

        _byFilter[filter] = turn + 1;
        return turn;
    }
}
