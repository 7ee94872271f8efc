namespace Loom.Harness.Expressions;

internal enum Loop : byte
{
    Exists,
    All,
    ExistsOne,
    Filter,
    Map,
}

/// <summary><c>list.exists(x, condition)</c> and its kin; over a map the variable runs through the names.</summary>
/// <param name="loop">Which of them.</param>
/// <param name="slot">Where the variable is kept.</param>
/// <param name="target">What is gone through.</param>
/// <param name="condition">Null for a plain <c>map</c>.</param>
/// <param name="result">Only for <c>map</c>.</param>
/// <param name="source">As it was written.</param>
internal sealed class LoopNode(Loop loop, int slot, Node target, Node? condition, Node? result, string source)
    : Node(loop is Loop.Filter or Loop.Map ? Kind.List : Kind.Bool, source, [target, condition ?? result!, result ?? condition!])
{
    public override Value Evaluate(ref Frame frame)
    {
        var list = target.Evaluate(ref frame);
        if (list.IsError)
        {
            return list;
        }

        if (list.Kind is not (Kind.List or Kind.Map))
        {
            return Value.Error($"{Name}() goes through a list or a map, not through {list.Kind.Name()}: {target.Source}");
        }

        return loop is Loop.Filter or Loop.Map ? Collect(ref frame, list) : Count(ref frame, list);
    }

    private string Name => loop switch
    {
        Loop.Exists => "exists",
        Loop.All => "all",
        Loop.ExistsOne => "exists_one",
        Loop.Filter => "filter",
        _ => "map",
    };

    private Value Collect(ref Frame frame, in Value list)
    {
        var made = new List<Value>(condition is null ? list.Count : 0);
        for (var items = new Items(list); items.MoveNext();)
        {
            if (!frame.Step())
            {
                return TooManySteps();
            }

            var item = items.Current;
            frame.SetLocal(slot, item);
            if (condition is not null)
            {
                var verdict = Check(condition.Evaluate(ref frame));
                if (verdict.IsError)
                {
                    return verdict;
                }

                if (verdict.IsFalse)
                {
                    continue;
                }
            }

            var value = result is null ? item : result.Evaluate(ref frame);
            if (value.IsError)
            {
                return value;
            }

            made.Add(value);
        }

        return Value.Of(made.ToArray());
    }

    // As with && and ||, one member that decides is enough: errors of others do not count. exists_one must look at all and forgives none.
    private Value Count(ref Frame frame, in Value list)
    {
        var hits = 0;
        var error = default(Value);
        for (var items = new Items(list); items.MoveNext();)
        {
            if (!frame.Step())
            {
                return TooManySteps();
            }

            frame.SetLocal(slot, items.Current);
            var verdict = Check(condition!.Evaluate(ref frame));
            if (frame.IsExhausted)
            {
                return TooManySteps();
            }

            if (verdict.IsError)
            {
                error = error.IsError ? error : verdict;
            }
            else if (verdict.IsTrue && loop == Loop.Exists)
            {
                return Value.True;
            }
            else if (verdict.IsFalse && loop == Loop.All)
            {
                return Value.False;
            }

            hits += verdict.IsTrue ? 1 : 0;
        }

        return error.IsError ? error : Value.Of(loop switch { Loop.Exists => false, Loop.All => true, _ => hits == 1 });
    }

    private Value Check(in Value verdict) =>
        verdict.Kind is Kind.Bool or Kind.Error ? verdict : Value.Error($"the condition in {Name}() must be a bool, not {verdict.Kind.Name()}");
}
