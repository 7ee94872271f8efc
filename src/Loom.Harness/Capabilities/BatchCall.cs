using System.Runtime.ExceptionServices;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;

namespace Loom.Harness.Capabilities;

/// <summary>
/// One batch on its way through the chain. Under <c>per_item</c> members are refused or fail alone and the rest goes on; under <c>fail_fast</c> the
/// first failure is the batch's.
/// </summary>
internal sealed class BatchCall<TIn, TOut>(string component, BatchErrorMode errorMode, IReadOnlyList<string> outputs) : Call<TIn>(component, isBatch: true)
{
    private readonly List<(int Index, int Port, Event<TOut> Event)> _kept = [];
    private readonly SortedDictionary<int, Exception> _errors = [];
    private Batch<TIn> _all = Batch<TIn>.Of();

    // Where members of a narrowed batch stand in the whole one; null while nothing was taken out.
    private int[]? _indexes;

    /// <summary>What the handler gets: the members that are still to be done.</summary>
    public Batch<TIn> Members { get; private set; } = Batch<TIn>.Of();

    /// <summary>What the handler says in this attempt, by index in <see cref="Members"/>.</summary>
    public BatchEmitter<TOut> Output { get; } = new(outputs);

    /// <summary>The whole batch.</summary>
    public Batch<TIn> All => _all;

    /// <summary>After a call in which one attempt did everything, in order, to the first port and without a failure: the results lie in <see cref="Output"/>.</summary>
    public bool IsPlain => _indexes is null && _kept.Count == 0 && _errors.Count == 0 && Output is { InOrder: true, HasFailures: false, OnePort: true };

    /// <summary>After any other call: results in the order of their members.</summary>
    public IReadOnlyList<(int Index, int Port, Event<TOut> Event)> Results => _kept;

    /// <summary>After the call: members that failed, by index in the whole batch.</summary>
    public IReadOnlyDictionary<int, Exception> Failures => _errors;

    public override int Items => Members.Count;

    public override bool CanRepeat => true;

    public override string? BatchId => _all.Id;

    public override IReadOnlyList<ItemContext> Contexts => [.. Members.Select(e => new ItemContext(Component, e.Id, e.Key, e.Data, Attempt))];

    public override bool IsFailFast => errorMode == BatchErrorMode.FailFast;

    public override IReadOnlyList<int> Places => [.. Enumerable.Range(0, Members.Count).Select(IndexOf)];

    public override Exception? ErrorAt(int place) => _errors.GetValueOrDefault(place);

    public override async ValueTask PassAsync(IReadOnlyList<bool> goesOn, Link next)
    {
        var (members, indexes) = (Members, _indexes);
        if (goesOn.Contains(false))
        {
            Narrow([.. Enumerable.Range(0, goesOn.Count).Where(i => goesOn[i])]);
        }

        try
        {
            if (Members.Count > 0)
            {
                await next.InvokeAsync(this).ConfigureAwait(true);
            }
        }
        catch (Exception e)
        {
            Output.Clear();
            if (!IsFailFast)
            {
                FailAll(e);
            }

            throw;
        }
        finally
        {
            (Members, _indexes) = (members, indexes);
        }
    }

    public override void Judge(IReadOnlyList<int> places, IReadOnlyList<Exception?> errors)
    {
        if (IsFailFast)
        {
            if (errors.FirstOrDefault(e => e is not null) is { } first)
            {
                ExceptionDispatchInfo.Throw(first);
            }

            return;
        }

        var failed = new HashSet<int>();
        for (var i = 0; i < places.Count; i++)
        {
            _errors.Remove(places[i]);
            if (errors[i] is { } error)
            {
                failed.Add(places[i]);
                _errors[places[i]] = error;
            }
        }

        if (failed.Count > 0)
        {
            KeepOutput();
            _kept.RemoveAll(r => failed.Contains(r.Index));
        }
    }

    public void Take(Batch<TIn> batch)
    {
        _all = batch;
        Members = batch;
        _indexes = null;
        _kept.Clear();
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
        if (IsPlain)
        {
            return;
        }

        if (errorMode == BatchErrorMode.FailFast && Output.HasFailures)
        {
            throw Output.Failures.MinBy(f => f.Key).Value;
        }

        KeepSent();
        foreach (var (index, error) in Output.Failures)
        {
            _errors[IndexOf(index)] = error;
        }

        Output.Clear();
    }

    /// <summary>
    /// The last attempt failed as a whole. Under <c>per_item</c> every member that was still to be done failed with the error; what earlier attempts made of others stays.
    /// Under <c>fail_fast</c> it is the error of all.
    /// </summary>
    public void FailAll(Exception error)
    {
        Output.Clear();
        if (errorMode == BatchErrorMode.FailFast)
        {
            _kept.Clear();
            for (var i = 0; i < _all.Count; i++)
            {
                _errors[i] = error;
            }

            return;
        }

        _kept.RemoveAll(r => IsMember(r.Index));
        for (var i = 0; i < Members.Count; i++)
        {
            _errors.TryAdd(IndexOf(i), error);
        }
    }

    /// <summary>Puts results of several attempts in the order of their members.</summary>
    public void Sort()
    {
        for (var i = 1; i < _kept.Count; i++)
        {
            if (_kept[i].Index < _kept[i - 1].Index)
            {
                var sorted = _kept.OrderBy(r => r.Index).ToList();
                _kept.Clear();
                _kept.AddRange(sorted);
                return;
            }
        }
    }

    public override bool NarrowToTransient()
    {
        if (_errors.Count == 0)
        {
            return false;
        }

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

    // An attempt that failed after the handler had spoken leaves verdicts of members that are tried again.
    protected override void Clear()
    {
        Output.Clear();
        if (_kept.Count > 0)
        {
            _kept.RemoveAll(r => IsMember(r.Index));
        }

        for (var i = 0; i < Members.Count && _errors.Count > 0; i++)
        {
            _errors.Remove(IndexOf(i));
        }
    }

    // What a plain call left where it lies.
    private void KeepOutput()
    {
        KeepSent();
        Output.Clear();
    }

    private void KeepSent()
    {
        for (var i = 0; i < Output.Count; i++)
        {
            if (!Output.Failures.ContainsKey(Output.Members[i]))
            {
                _kept.Add((IndexOf(Output.Members[i]), Output.PortIndexOf(i), Output.Sent[i]));
            }
        }
    }

    private bool IsMember(int index) => _indexes is null || Array.BinarySearch(_indexes, index) >= 0;

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
