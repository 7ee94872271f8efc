using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;

namespace Loom.Harness.Capabilities;

/// <summary>
/// One batch on its way through the chain. Under <c>per_item</c> members are refused or fail alone and the rest goes on; under <c>fail_fast</c> the
/// first failure is the batch's.
/// </summary>
internal sealed class BatchCall<TIn, TOut>(string component, BatchErrorMode errorMode) : Call<TIn>(component)
{
    private readonly List<(int Index, Event<TOut> Event)> _results = [];
    private readonly SortedDictionary<int, Exception> _errors = [];
    private Batch<TIn> _all = Batch<TIn>.Of();

    // Where members of a narrowed batch stand in the whole one; null while nothing was taken out.
    private int[]? _indexes;

    /// <summary>What the handler gets: the members that are still to be done.</summary>
    public Batch<TIn> Members { get; private set; } = Batch<TIn>.Of();

    /// <summary>What the handler says in this attempt, by index in <see cref="Members"/>.</summary>
    public BatchEmitter<TOut> Output { get; } = new();

    /// <summary>The whole batch.</summary>
    public Batch<TIn> All => _all;

    /// <summary>After the call: results in the order of their members.</summary>
    public IReadOnlyList<(int Index, Event<TOut> Event)> Results => _results;

    /// <summary>After the call: members that failed, by index in the whole batch.</summary>
    public IReadOnlyDictionary<int, Exception> Failures => _errors;

    public override int Items => Members.Count;

    public override bool CanRepeat => true;

    public override string? BatchId => _all.Id;

    public override IReadOnlyList<ItemContext> Contexts => [.. Members.Select(e => new ItemContext(Component, e.Id, e.Key, e.Data, Attempt))];

    public void Take(Batch<TIn> batch)
    {
        _all = batch;
        Members = batch;
        _indexes = null;
        _results.Clear();
        _errors.Clear();
        Start();
    }

    public override void Check(Func<TIn, ItemException?> check)
    {
        List<int>? kept = null;
        for (var i = 0; i < Members.Count; i++)
        {
            if (check(Members[i].Data) is not { } refused)
            {
                kept?.Add(i);
                continue;
            }

            if (errorMode == BatchErrorMode.FailFast)
            {
                throw refused;
            }

            kept ??= [.. Enumerable.Range(0, i)];
            _errors[IndexOf(i)] = refused;
        }

        if (kept is not null)
        {
            Narrow(kept);
        }
    }

    /// <summary>Takes over what the handler said in this attempt; under <c>fail_fast</c> its first failure is thrown.</summary>
    public void Settle()
    {
        if (errorMode == BatchErrorMode.FailFast && Output.Failures.Count > 0)
        {
            throw Output.Failures.MinBy(f => f.Key).Value;
        }

        foreach (var (index, e) in Output.Sent)
        {
            if (!Output.Failures.ContainsKey(index))
            {
                _results.Add((IndexOf(index), e));
            }
        }

        foreach (var (index, error) in Output.Failures)
        {
            _errors[IndexOf(index)] = error;
        }
    }

    /// <summary>Every member that has no verdict yet failed with the same error.</summary>
    public void FailAll(Exception error)
    {
        _results.Clear();
        for (var i = 0; i < _all.Count; i++)
        {
            if (errorMode == BatchErrorMode.FailFast)
            {
                _errors[i] = error;
            }
            else
            {
                _errors.TryAdd(i, error);
            }
        }
    }

    /// <summary>Puts results of several attempts in the order of their members.</summary>
    public void Sort()
    {
        for (var i = 1; i < _results.Count; i++)
        {
            if (_results[i].Index < _results[i - 1].Index)
            {
                var sorted = _results.OrderBy(r => r.Index).ToList();
                _results.Clear();
                _results.AddRange(sorted);
                return;
            }
        }
    }

    public override bool NarrowToTransient()
    {
        var again = new List<int>();
        for (var i = 0; i < Members.Count; i++)
        {
            if (_errors.TryGetValue(IndexOf(i), out var error) && ErrorClasses.Of(error) == ErrorClass.Transient)
            {
                again.Add(i);
            }
        }

        if (again.Count == 0)
        {
            return false;
        }

        foreach (var i in again)
        {
            _errors.Remove(IndexOf(i));
        }

        Narrow(again);
        return true;
    }

    protected override void Clear() => Output.Clear();

    private int IndexOf(int member) => _indexes is null ? member : _indexes[member];

    private void Narrow(List<int> kept)
    {
        var members = new Event<TIn>[kept.Count];
        var indexes = new int[kept.Count];
        for (var i = 0; i < kept.Count; i++)
        {
            members[i] = Members[kept[i]];
            indexes[i] = IndexOf(kept[i]);
        }

        Members = _all.Part(members);
        _indexes = indexes;
    }
}
