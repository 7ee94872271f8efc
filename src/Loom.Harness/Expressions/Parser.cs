using System.Globalization;
using Loom.Harness.Expressions.Functions;

namespace Loom.Harness.Expressions;

/// <summary>
/// Reads an expression and checks it on the way: names, kinds as far as they are known, patterns. What does not depend on an event is
/// worked out here, so <c>1 / 0</c> or <c>timestamp("x")</c> is found before anything runs.
/// </summary>
internal sealed class Parser
{
    // Brackets within brackets; each costs a few calls on the stack.
    private const int NestingLimit = 100;

    private readonly string _text;
    private readonly Scope _scope;
    private readonly Lexer _lexer;
    private readonly List<(string Name, Kind Kind)> _locals = [];
    private int _nesting;
    private int _lastEnd;

    public Parser(string text, int position, Scope scope)
    {
        _text = text;
        _scope = scope;
        _lexer = new Lexer(text, position);
        Current = _lexer.Next();
    }

    /// <summary>The word that comes next.</summary>
    public Token Current { get; private set; }

    /// <summary>Reads a whole text.</summary>
    public static Node ParseAll(string text, Scope scope)
    {
        var parser = new Parser(text, 0, scope);
        if (parser.Current.Kind == TokenKind.End)
        {
            throw new ExpressionException("the expression is empty", 1);
        }

        var node = parser.ParseExpression();
        return parser.Current.Kind == TokenKind.End ? node : throw parser.Unexpected("the end or an operator");
    }

    /// <summary>Reads one expression and stands behind it.</summary>
    public Node ParseExpression()
    {
        if (++_nesting > NestingLimit)
        {
            throw Error(Current.Position, $"more than {NestingLimit} brackets within one another");
        }

        var start = Current.Position;
        var node = ParseBinary(1);
        if (Current.Is("?"))
        {
            Require(node, Kind.Bool, start, "the condition before \"?\"");
            Advance();
            var yes = ParseExpression();
            Expect(":", "\":\" and what holds otherwise");
            var no = ParseExpression();
            node = Fold(new ChoiceNode(yes.Kind == no.Kind ? yes.Kind : Kind.Any, node, yes, no, Since(start)), start);
        }

        _nesting--;
        return node;
    }

    public ExpressionException Error(int position, string message) => ExpressionException.At(_text, position, message);

    public ExpressionException Unexpected(string expected) =>
        Error(Current.Position, $"{expected} is expected here, not {(Current.Kind == TokenKind.End ? Current.Text : $"\"{Current.Text}\"")}");

    public void Advance()
    {
        _lastEnd = Current.End;
        Current = _lexer.Next();
    }

    public void Expect(string mark, string what)
    {
        if (!Current.Is(mark))
        {
            throw Unexpected(what);
        }

        Advance();
    }

    /// <summary>The text from a place to the last word that was read.</summary>
    public string Since(int start) => _text[start.._lastEnd];

    /// <summary>Works out what is constant; its errors are errors of the text.</summary>
    public Node Fold(Node node, int position)
    {
        if (node.Depth > Node.DepthLimit)
        {
            throw Error(position, $"the expression is nested more than {Node.DepthLimit} deep; split it");
        }

        if (!node.IsConstant || node is ConstantNode)
        {
            return node;
        }

        var frame = default(Frame);
        var value = node.Evaluate(ref frame);
        return value.IsError ? throw Error(position, ExpressionErrors.Message(value)) : new ConstantNode(value, node.Source);
    }

    /// <summary>Refuses a part whose kind is known and is another one.</summary>
    public void Require(Node node, Kind kind, int position, string what)
    {
        if (node.Kind != Kind.Any && node.Kind != kind)
        {
            throw Error(position, $"{what} must be {kind.Name()}, not {node.Kind.Name()}");
        }
    }

    /// <summary>Reads arguments to the closing bracket; the opening one has been read.</summary>
    public List<(Node Node, int Position)> ParseArguments()
    {
        var arguments = new List<(Node, int)>();
        while (!Current.Is(")"))
        {
            if (arguments.Count > 0)
            {
                Expect(",", "\",\" or \")\"");
            }

            var position = Current.Position;
            arguments.Add((ParseExpression(), position));
        }

        Advance();
        return arguments;
    }

    /// <summary>Reads a part in which a name stands for the member of a loop.</summary>
    public Node ParseWithLocal(string name, Kind kind)
    {
        _locals.Add((name, kind));
        var node = ParseExpression();
        _locals.RemoveAt(_locals.Count - 1);
        return node;
    }

    /// <summary>Where the next loop variable is kept.</summary>
    public int NextSlot => _locals.Count;

    private static (int Level, Operator Op)? BinaryOperator(in Token token) => token.Kind switch
    {
        TokenKind.Name when token.Text == "in" => (3, Operator.In),
        TokenKind.Mark => token.Text switch
        {
            "||" => (1, default),
            "&&" => (2, default),
            "==" => (3, Operator.Equal),
            "!=" => (3, Operator.NotEqual),
            "<" => (3, Operator.Less),
            "<=" => (3, Operator.LessOrEqual),
            ">" => (3, Operator.Greater),
            ">=" => (3, Operator.GreaterOrEqual),
            "+" => (4, Operator.Add),
            "-" => (4, Operator.Subtract),
            "*" => (5, Operator.Multiply),
            "/" => (5, Operator.Divide),
            "%" => (5, Operator.Remainder),
            _ => null,
        },
        _ => null,
    };

    private Node ParseBinary(int level)
    {
        var start = Current.Position;
        var left = ParseUnary();
        while (BinaryOperator(Current) is { } found && found.Level >= level)
        {
            var at = Current.Position;
            Advance();
            var rightStart = Current.Position;
            var right = ParseBinary(found.Level + 1);
            if (found.Level <= 2)
            {
                var sign = found.Level == 2 ? "&&" : "||";
                Require(left, Kind.Bool, start, $"what stands before \"{sign}\"");
                Require(right, Kind.Bool, rightStart, $"what stands behind \"{sign}\"");
                left = new LogicNode(found.Level == 2, left, right, Since(start));
            }
            else
            {
                var kind = Operators.Result(found.Op, left.Kind, right.Kind) ?? throw Error(at, Operators.Refusal(found.Op, left.Kind, right.Kind));
                left = new BinaryNode(found.Op, kind, left, right, Since(start));
            }

            left = Fold(left, at);
        }

        return left;
    }

    // A row of signs is read in a loop: it may be as long as it likes without using the stack.
    private Node ParseUnary()
    {
        var signs = new List<Token>(0);
        while (Current.Is("!") || Current.Is("-"))
        {
            signs.Add(Current);
            Advance();
        }

        Node node;
        if (signs.Count > 0 && signs[^1].Is("-") && Current.Kind is TokenKind.Int && Current.Integer == 1UL << 63)
        {
            // The smallest int: its digits alone would be too large.
            Advance();
            node = new ConstantNode(Value.Of(long.MinValue), Since(signs[^1].Position));
            signs.RemoveAt(signs.Count - 1);
            node = ParsePostfix(node, signs.Count > 0 ? signs[0].Position : 0);
        }
        else
        {
            var start = Current.Position;
            node = ParsePostfix(ParsePrimary(), start);
        }

        for (var i = signs.Count - 1; i >= 0; i--)
        {
            var position = signs[i].Position;
            if (signs[i].Is("!"))
            {
                Require(node, Kind.Bool, position, "what stands behind \"!\"");
                node = Fold(new NotNode(node, Since(position)), position);
            }
            else if (node.Kind is Kind.Any or Kind.Int or Kind.Double or Kind.Duration)
            {
                node = Fold(new NegateNode(node.Kind, node, Since(position)), position);
            }
            else
            {
                throw Error(position, $"\"-\" takes a number or a duration, not {node.Kind.Name()}");
            }
        }

        return node;
    }

    private Node ParsePostfix(Node node, int start)
    {
        while (true)
        {
            if (Current.Is("."))
            {
                Advance();
                var name = Current;
                if (name.Kind != TokenKind.Name)
                {
                    throw Unexpected("a field or a function");
                }

                Advance();
                node = Current.Is("(") ? ParseMethod(node, name, start) : Field(node, name.Text, name.Position, Since(start));
            }
            else if (Current.Is("["))
            {
                Advance();
                var position = Current.Position;
                var index = ParseExpression();
                Expect("]", "\"]\"");
                node = Index(node, index, position, Since(start));
            }
            else
            {
                return node;
            }

            node = Fold(node, start);
        }
    }

    private Node Field(Node target, string name, int position, string source) => target switch
    {
        PathNode path => path.Field(name, source),
        MetaNode => MetaNode.Field(name, source) ?? throw Error(position, $"meta has no field \"{name}\" (fields: {string.Join(", ", MetaNode.Fields)})"),
        { Kind: Kind.Any or Kind.Map } => new FieldNode(target, name, source),
        _ => throw Error(position, FunctionTable.IsMember(name)
            ? $"{name} is a function: {target.Source}.{name}()"
            : $"{target.Kind.Name()} has no field \"{name}\""),
    };

    private Node Index(Node target, Node index, int position, string source)
    {
        if (target is PathNode path && index is ConstantNode { Value: var value })
        {
            if (value.Kind == Kind.String)
            {
                return path.Field(value.String, source);
            }

            if (value.Kind == Kind.Int && value.Int is >= 0 and <= int.MaxValue)
            {
                return path.Index((int)value.Int, source);
            }
        }

        if (target.Kind is not (Kind.Any or Kind.List or Kind.Map))
        {
            throw Error(position, $"{target.Kind.Name()} has no members to pick");
        }

        if (index.Kind is not (Kind.Any or Kind.Int or Kind.String)
            || (target.Kind == Kind.List && index.Kind == Kind.String) || (target.Kind == Kind.Map && index.Kind == Kind.Int))
        {
            throw Error(position, $"a list is asked for an int and a map for a string, not {target.Kind.Name()} for {index.Kind.Name()}");
        }

        return new IndexNode(target, index, source);
    }

    private Node ParseMethod(Node target, Token name, int start)
    {
        Advance();
        return LoopParser.IsLoop(name.Text) ? LoopParser.Parse(this, target, name, start) : FunctionTable.Call(this, name, target, start);
    }

    private Node ParsePrimary()
    {
        var token = Current;
        Advance();
        switch (token.Kind)
        {
            case TokenKind.Int:
                return token.Integer <= long.MaxValue
                    ? new ConstantNode(Value.Of((long)token.Integer), token.Text)
                    : throw Error(token.Position, $"{token.Text} is larger than an int of 64 bits; write {token.Integer.ToString(CultureInfo.InvariantCulture)}.0 for a double");
            case TokenKind.Double:
                return new ConstantNode(Value.Of(token.Number), token.Text);
            case TokenKind.String:
                return new ConstantNode(Value.Of(token.Text), Since(token.Position));
            case TokenKind.Name:
                return ParseName(token);
            case TokenKind.Mark when token.Text == "$" && _scope.HasData:
                return _scope.Variable("data")!;
            case TokenKind.Mark when token.Text == "(":
                var inner = ParseExpression();
                Expect(")", "\")\"");
                return inner;
            case TokenKind.Mark when token.Text == "[":
                return ParseList(token.Position);
            case TokenKind.Mark when token.Text == "{":
                return ParseMap(token.Position);
            default:
                throw Error(token.Position, token.Kind == TokenKind.End
                    ? "the expression ends where a value is expected"
                    : $"a value is expected here, not \"{token.Text}\"");
        }
    }

    private Node ParseName(Token name)
    {
        switch (name.Text)
        {
            case "true": return new ConstantNode(Value.True, name.Text);
            case "false": return new ConstantNode(Value.False, name.Text);
            case "null": return new ConstantNode(Value.Null, name.Text);
        }

        for (var i = _locals.Count - 1; i >= 0; i--)
        {
            if (_locals[i].Name == name.Text && !Current.Is("("))
            {
                return new LocalNode(i, _locals[i].Kind, name.Text);
            }
        }

        if (Current.Is("("))
        {
            Advance();
            return name.Text == "has" && _scope.HasData ? ParseHas(name)
                : _scope.Functions.Contains(name.Text) ? _scope.Call(this, name)
                : Fold(FunctionTable.Call(this, name, receiver: null, name.Position, _scope.Functions), name.Position);
        }

        return _scope.Variable(name.Text) ?? throw UnknownName(name);
    }

    private ExpressionException UnknownName(Token name)
    {
        var names = _scope.Variables.Concat(_locals.Select(l => l.Name)).ToList();
        var advice = Scope.Nearest(name.Text, names) is { } near ? $"did you mean \"{near}\"?"
            : FunctionTable.IsGlobal(name.Text) ? $"{name.Text} is a function: {name.Text}(...)"
            : _scope.HasData ? $"a field of the payload is data.{name.Text} or $.{name.Text}; a string stands in quotes" : "a string stands in quotes";
        return Error(name.Position, $"there is no variable \"{name.Text}\"; {advice} (variables: {string.Join(", ", names)})");
    }

    private HasNode ParseHas(Token name)
    {
        var position = Current.Position;
        var selection = ParseExpression();
        Expect(")", "\")\"");
        return selection is ISelection and not PathNode { IsRoot: true }
            ? new HasNode(selection, Since(name.Position))
            : throw Error(position, "has() asks for a field or a member, as in has(data.name) or has(data.items[0])");
    }

    private Node ParseList(int start)
    {
        var items = new List<Node>();
        while (!Current.Is("]"))
        {
            if (items.Count > 0)
            {
                Expect(",", "\",\" or \"]\"");
                if (Current.Is("]"))
                {
                    break;
                }
            }

            items.Add(ParseExpression());
        }

        Advance();
        return Fold(new ListNode([.. items], Since(start)), start);
    }

    private Node ParseMap(int start)
    {
        var members = new List<Node>();
        while (!Current.Is("}"))
        {
            if (members.Count > 0)
            {
                Expect(",", "\",\" or \"}\"");
                if (Current.Is("}"))
                {
                    break;
                }
            }

            var position = Current.Position;
            var name = ParseExpression();
            Require(name, Kind.String, position, "the name of a map's member");
            if (name is ConstantNode fixedName && members.Where((_, i) => i % 2 == 0).OfType<ConstantNode>().Any(m => m.Value.Same(fixedName.Value)))
            {
                throw Error(position, $"the map has the name {fixedName.Source} twice");
            }

            members.Add(name);
            Expect(":", "\":\" and the value");
            members.Add(ParseExpression());
        }

        Advance();
        return Fold(new MapNode([.. members], Since(start)), start);
    }
}
