namespace Loom.Harness.Expressions;

internal enum Operator : byte
{
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// <summary>
/// What operators do. An int and a double meet as doubles; two ints stay ints, division included; ints overflow into an error, never silently.
/// </summary>
internal static class Operators
{
    /// <summary>Longest string or list an expression may make: characters or members.</summary>
    public const int SizeLimit = 4 << 20;

    public static string Sign(this Operator op) => op switch
    {
        Operator.Add => "+",
        Operator.Subtract => "-",
        Operator.Multiply => "*",
        Operator.Divide => "/",
        Operator.Remainder => "%",
        Operator.Equal => "==",
        Operator.NotEqual => "!=",
        Operator.Less => "<",
        Operator.LessOrEqual => "<=",
        Operator.Greater => ">",
        Operator.GreaterOrEqual => ">=",
        _ => "in",
    };

    /// <summary>The kind of the result for operands of known kinds; null when the operator does not take them.</summary>
    public static Kind? Result(Operator op, Kind left, Kind right)
    {
        var known = left != Kind.Any && right != Kind.Any;
        switch (op)
        {
            case Operator.Equal or Operator.NotEqual:
                return !known || left == right || left == Kind.Null || right == Kind.Null || (left.IsNumber() && right.IsNumber()) ? Kind.Bool : null;
            case Operator.Less or Operator.LessOrEqual or Operator.Greater or Operator.GreaterOrEqual:
                return (!known || left == right || (left.IsNumber() && right.IsNumber())) && IsOrdered(left) && IsOrdered(right) ? Kind.Bool : null;
            case Operator.In:
                return right is Kind.Any or Kind.List || (right == Kind.Map && left is Kind.Any or Kind.String) ? Kind.Bool : null;
            default:
                return known ? Arithmetic(op, left, right) : OneKnown(op, left == Kind.Any ? right : left);
        }
    }

    public static Value Apply(Operator op, in Value left, in Value right)
    {
        if (left.IsError)
        {
            return left;
        }

        if (right.IsError)
        {
            return right;
        }

        return op switch
        {
            Operator.Equal => Value.Of(left.Same(right)),
            Operator.NotEqual => Value.Of(!left.Same(right)),
            Operator.Less or Operator.LessOrEqual or Operator.Greater or Operator.GreaterOrEqual => Order(op, left, right),
            Operator.In => In(left, right),
            _ when left.Kind == Kind.Int && right.Kind == Kind.Int => Integers(op, left.Int, right.Int),
            _ when left.Kind.IsNumber() && right.Kind.IsNumber() => Doubles(op, left.Double, right.Double),
            Operator.Add => Add(left, right),
            Operator.Subtract => Subtract(left, right),
            _ => Refuse(op, left.Kind, right.Kind),
        };
    }

    public static Value Negate(in Value value) => value.Kind switch
    {
        Kind.Int when value.Int == long.MinValue => Overflow(),
        Kind.Int => Value.Of(-value.Int),
        Kind.Double => Value.Of(-value.Double),
        Kind.Duration when value.Duration != TimeSpan.MinValue => Value.Of(-value.Duration),
        Kind.Error => value,
        _ => Value.Error($"\"-\" takes a number or a duration, not {value.Kind.Name()}"),
    };

    /// <summary>Which of two numbers is larger, exactly, also where an int has more digits than a double; NaN is larger than all.</summary>
    public static int Compare(in Value left, in Value right)
    {
        if (left.Kind == right.Kind)
        {
            return left.Kind == Kind.Int ? left.Int.CompareTo(right.Int) : -right.Double.CompareTo(left.Double);
        }

        return left.Kind == Kind.Int ? CompareMixed(left.Int, right.Double) : -CompareMixed(right.Int, left.Double);
    }

    private static int CompareMixed(long left, double right)
    {
        if (double.IsNaN(right) || right >= 9223372036854775808.0)
        {
            return -1;
        }

        if (right < -9223372036854775808.0)
        {
            return 1;
        }

        var whole = (long)right;
        return left != whole ? left.CompareTo(whole) : 0.0.CompareTo(right - whole);
    }

    private static bool IsOrdered(Kind kind) => kind is not (Kind.Null or Kind.List or Kind.Map);

    private static Kind? Arithmetic(Operator op, Kind left, Kind right)
    {
        if (left.IsNumber() && right.IsNumber())
        {
            var both = left == Kind.Int && right == Kind.Int;
            return op == Operator.Remainder && !both ? null : both ? Kind.Int : Kind.Double;
        }

        return (op, left, right) switch
        {
            (Operator.Add, Kind.String, Kind.String) => Kind.String,
            (Operator.Add, Kind.List, Kind.List) => Kind.List,
            (Operator.Add, Kind.Timestamp, Kind.Duration) or (Operator.Add, Kind.Duration, Kind.Timestamp) => Kind.Timestamp,
            (Operator.Add or Operator.Subtract, Kind.Duration, Kind.Duration) => Kind.Duration,
            (Operator.Subtract, Kind.Timestamp, Kind.Duration) => Kind.Timestamp,
            (Operator.Subtract, Kind.Timestamp, Kind.Timestamp) => Kind.Duration,
            _ => null,
        };
    }

    private static Kind? OneKnown(Operator op, Kind known) => (op, known) switch
    {
        (_, Kind.Any or Kind.Int) => Kind.Any,
        (not Operator.Remainder, Kind.Double) => Kind.Double,
        (Operator.Add, Kind.String or Kind.List) => known,
        (Operator.Add or Operator.Subtract, Kind.Timestamp or Kind.Duration) => Kind.Any,
        _ => null,
    };

    private static Value Integers(Operator op, long left, long right)
    {
        long result;
        switch (op)
        {
            case Operator.Add:
                result = unchecked(left + right);
                return ((left ^ result) & (right ^ result)) < 0 ? Overflow() : Value.Of(result);
            case Operator.Subtract:
                result = unchecked(left - right);
                return ((left ^ right) & (left ^ result)) < 0 ? Overflow() : Value.Of(result);
            case Operator.Multiply:
                var high = Math.BigMul(left, right, out result);
                return high == (result >> 63) ? Value.Of(result) : Overflow();
            case Operator.Divide:
                return right == 0 ? DivisionByZero() : left == long.MinValue && right == -1 ? Overflow() : Value.Of(left / right);
            default:
                return right == 0 ? DivisionByZero() : Value.Of(right == -1 ? 0 : left % right);
        }
    }

    private static Value Doubles(Operator op, double left, double right) => op switch
    {
        Operator.Add => Value.Of(left + right),
        Operator.Subtract => Value.Of(left - right),
        Operator.Multiply => Value.Of(left * right),
        Operator.Divide => right == 0 ? DivisionByZero() : Value.Of(left / right),
        _ => Refuse(op, Kind.Double, Kind.Double),
    };

    private static Value Add(in Value left, in Value right)
    {
        switch (left.Kind, right.Kind)
        {
            case (Kind.String, Kind.String):
                var (first, second) = (left.String, right.String);
                return (long)first.Length + second.Length > SizeLimit ? TooLong("string") : Value.Of(first + second);
            case (Kind.List, Kind.List):
                return (long)left.Count + right.Count > SizeLimit ? TooLong("list") : Value.Of([.. ToArray(left), .. ToArray(right)]);
            case (Kind.Timestamp, Kind.Duration):
                return Shift(left.Timestamp, right.Duration.Ticks);
            case (Kind.Duration, Kind.Timestamp):
                return Shift(right.Timestamp, left.Duration.Ticks);
            case (Kind.Duration, Kind.Duration):
                var sum = Integers(Operator.Add, left.Duration.Ticks, right.Duration.Ticks);
                return sum.IsError ? sum : Value.Of(new TimeSpan(sum.Int));
            default:
                return Refuse(Operator.Add, left.Kind, right.Kind);
        }
    }

    private static Value Subtract(in Value left, in Value right)
    {
        switch (left.Kind, right.Kind)
        {
            case (Kind.Timestamp, Kind.Timestamp):
                return Value.Of(left.Timestamp - right.Timestamp);
            case (Kind.Timestamp, Kind.Duration):
                var ticks = right.Duration.Ticks;
                return ticks == long.MinValue ? OutOfTime() : Shift(left.Timestamp, -ticks);
            case (Kind.Duration, Kind.Duration):
                var difference = Integers(Operator.Subtract, left.Duration.Ticks, right.Duration.Ticks);
                return difference.IsError ? difference : Value.Of(new TimeSpan(difference.Int));
            default:
                return Refuse(Operator.Subtract, left.Kind, right.Kind);
        }
    }

    private static Value Shift(DateTimeOffset time, long ticks)
    {
        var sum = (Int128)time.UtcTicks + ticks;
        return sum < 0 || sum > DateTimeOffset.MaxValue.UtcTicks ? OutOfTime() : Value.Of(new DateTimeOffset((long)sum, TimeSpan.Zero));
    }

    private static Value[] ToArray(in Value list)
    {
        var result = new Value[list.Count];
        var index = 0;
        for (var items = new Items(list); items.MoveNext();)
        {
            result[index++] = items.Current;
        }

        return result;
    }

    private static Value Order(Operator op, in Value left, in Value right)
    {
        int order;
        if (left.Kind.IsNumber() && right.Kind.IsNumber())
        {
            if (double.IsNaN(left.Double) || double.IsNaN(right.Double))
            {
                return Value.False;
            }

            order = Compare(left, right);
        }
        else if (left.Kind != right.Kind || !IsOrdered(left.Kind))
        {
            return Refuse(op, left.Kind, right.Kind);
        }
        else
        {
            order = left.Kind == Kind.String ? string.CompareOrdinal(left.String, right.String) : left.Int.CompareTo(right.Int);
        }

        return Value.Of(op switch
        {
            Operator.Less => order < 0,
            Operator.LessOrEqual => order <= 0,
            Operator.Greater => order > 0,
            _ => order >= 0,
        });
    }

    private static Value In(in Value member, in Value container)
    {
        if (container.Kind == Kind.Map && member.Kind == Kind.String)
        {
            return Value.Of(container.TryField(member.String, out _));
        }

        if (container.Kind != Kind.List)
        {
            return Refuse(Operator.In, member.Kind, container.Kind);
        }

        for (var items = new Items(container); items.MoveNext();)
        {
            if (items.Current.Same(member))
            {
                return Value.True;
            }
        }

        return Value.False;
    }

    public static string Refusal(Operator op, Kind left, Kind right) => op switch
    {
        Operator.Equal or Operator.NotEqual => $"{left.Name()} is never equal to {right.Name()}; convert one with string(), int() or double()",
        Operator.In => $"\"in\" looks for a value in a list or for a string among a map's names, not for {left.Name()} in {right.Name()}",
        Operator.Less or Operator.LessOrEqual or Operator.Greater or Operator.GreaterOrEqual =>
            $"{left.Name()} cannot be compared with {right.Name()}; convert one with string(), int() or double()",
        _ => $"\"{op.Sign()}\" does not take {left.Name()} and {right.Name()}; convert with string(), int() or double()",
    };

    private static Value Refuse(Operator op, Kind left, Kind right) => Value.Error(Refusal(op, left, right));

    private static Value Overflow() => Value.Error("the result does not fit into an int of 64 bits; convert with double()");

    private static Value DivisionByZero() => Value.Error("division by zero");

    private static Value OutOfTime() => Value.Error("the result lies outside the years 1 to 9999");

    private static Value TooLong(string what) => Value.Error($"the {what} would be longer than {SizeLimit}");
}
