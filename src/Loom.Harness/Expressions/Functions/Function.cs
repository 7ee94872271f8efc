namespace Loom.Harness.Expressions.Functions;

internal delegate Value Call1(in Value a);

internal delegate Value Call2(in Value a, in Value b);

internal delegate Value Call3(in Value a, in Value b, in Value c);

/// <summary>How a function may be written.</summary>
internal enum Style : byte
{
    /// <summary><c>int(x)</c>.</summary>
    Global,

    /// <summary><c>x.trim()</c>.</summary>
    Member,

    /// <summary>Both ways.</summary>
    Both,
}

/// <summary>One form of a function: what it takes, what it gives. The receiver of a member is its first parameter.</summary>
internal sealed class Function
{
    private readonly Delegate _call;

    private Function(string name, Style style, Kind result, Kind[] parameters, Delegate call)
    {
        Name = name;
        Style = style;
        Result = result;
        Parameters = parameters;
        _call = call;
    }

    public string Name { get; }

    public Style Style { get; }

    public Kind Result { get; }

    public IReadOnlyList<Kind> Parameters { get; }

    public static Function Of(string name, Style style, Kind a, Kind result, Call1 call) => new(name, style, result, [a], call);

    public static Function Of(string name, Style style, Kind a, Kind b, Kind result, Call2 call) => new(name, style, result, [a, b], call);

    public static Function Of(string name, Style style, Kind a, Kind b, Kind c, Kind result, Call3 call) => new(name, style, result, [a, b, c], call);

    public bool Takes(ReadOnlySpan<Value> arguments)
    {
        if (arguments.Length != Parameters.Count)
        {
            return false;
        }

        for (var i = 0; i < arguments.Length; i++)
        {
            if (!Takes(Parameters[i], arguments[i].Kind))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether it could take these kinds, of which some may only be known at run time.</summary>
    public bool MayTake(ReadOnlySpan<Kind> kinds)
    {
        if (kinds.Length != Parameters.Count)
        {
            return false;
        }

        for (var i = 0; i < kinds.Length; i++)
        {
            if (kinds[i] != Kind.Any && !Takes(Parameters[i], kinds[i]))
            {
                return false;
            }
        }

        return true;
    }

    public Value Call(ReadOnlySpan<Value> arguments) => _call switch
    {
        Call1 one => one(arguments[0]),
        Call2 two => two(arguments[0], arguments[1]),
        Call3 three => three(arguments[0], arguments[1], arguments[2]),
        _ => throw new InvalidOperationException(Name),
    };

    private static bool Takes(Kind parameter, Kind argument) => parameter == Kind.Any || parameter == argument;
}
