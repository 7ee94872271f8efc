namespace Loom.Control.Catalog;

/// <summary>Running measurements of one model, whatever name it is asked for by. Read and written only by the admission desk, under its lock.</summary>
internal sealed class ModelStats
{
    private const double Weight = 0.2;
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

    /// <summary>Why the model could not be loaded a moment ago; null = nothing stands against loading it.</summary>
    public LoadFailure? LoadFailure { get; set; }

    /// <summary>Loads of it that failed one after the other.</summary>
    public int FailedLoads { get; set; }

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

    /// <summary>Takes a finished load into account.</summary>
    public void ObserveLoad(double ms) => _loadMs = _loadMs == 0 ? ms : _loadMs + (Weight * (ms - _loadMs));
}

/// <summary>A load that failed.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Until">When the next attempt may begin, as a timestamp of the desk's clock.</param>
internal sealed record LoadFailure(string Reason, long Until);

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
