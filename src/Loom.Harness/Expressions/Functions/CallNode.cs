using System.Runtime.CompilerServices;

namespace Loom.Harness.Expressions.Functions;

/// <summary>A call of one of the forms of a function; which one, the kinds of the arguments say, at run time where they must.</summary>
internal sealed class CallNode(Function[] forms, Node[] arguments, string source)
    : Node(Array.TrueForAll(forms, f => f.Result == forms[0].Result) ? forms[0].Result : Kind.Any, source, arguments)
{
    public override Value Evaluate(ref Frame frame)
    {
        if (!frame.Step())
        {
            return TooManySteps();
        }

        var three = default(Three);
        Span<Value> values = ((Span<Value>)three)[..arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
        {
            values[i] = arguments[i].Evaluate(ref frame);
            if (values[i].IsError)
            {
                return values[i];
            }
        }

        foreach (var form in forms)
        {
            if (form.Takes(values))
            {
                return form.Call(values);
            }
        }

        var kinds = new Kind[values.Length];
        for (var i = 0; i < kinds.Length; i++)
        {
            kinds[i] = values[i].Kind;
        }

        return Value.Error($"{FunctionTable.Refusal(forms, kinds)}: {Source}");
    }

    [InlineArray(3)]
    private struct Three
    {
        private Value _first;
    }
}
