using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Expressions;

/// <summary>
/// A compiled expression over an event: a subset of CEL with the variables <c>data key headers time id meta</c>; <c>$.a</c> stands for
/// <c>data.a</c>. Immutable; evaluating is safe from any number of threads and takes at most 10,000 steps.
/// </summary>
/// <remarks>
/// At run time every method throws <see cref="ItemException"/> with the code <c>missing_field</c> (a field, member or key that is not there) or
/// <c>expression_error</c> (kinds that do not fit, overflow, division by zero, too many steps); both are permanent.
/// </remarks>
internal sealed class Expression : IEquatable<Expression>
{
    private readonly Node _root;

    private Expression(string text, Node root)
    {
        Text = text;
        _root = root;
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>Kind of its result; <see cref="Expressions.Kind.Any"/> when only an event can tell.</summary>
    public Kind Kind => _root.Kind;

    /// <summary>Whether its result is the same for all events.</summary>
    public bool IsConstant => _root.IsConstant;

    /// <summary>Places of the payload whose values may stand in its result.</summary>
    public IReadOnlyList<PathNode> Paths => _root.Paths;

    /// <summary>Compiles and checks.</summary>
    /// <exception cref="ExpressionException">What is wrong and at which column.</exception>
    public static Expression Compile(string text) => new(text, Parser.ParseAll(text, Scope.Event));

    /// <summary>Compiles an expression that must give a bool.</summary>
    /// <exception cref="ExpressionException">What is wrong and at which column.</exception>
    public static Expression CompileCondition(string text)
    {
        var expression = Compile(text);
        return expression.Kind is Kind.Bool or Kind.Any
            ? expression
            : throw new ExpressionException($"a condition must give a bool, not {expression.Kind.Name()}", 1);
    }

    /// <summary>The result as a payload.</summary>
    public JsonElement Evaluate(in Event<JsonElement> e)
    {
        var value = Run(e);
        return ValueText.TryToJson(value, out var json)
            ? json
            : throw new ItemException("expression_error", $"the result holds a double that is no number, which JSON cannot carry (in: {Text})");
    }

    /// <summary>Whether a condition holds.</summary>
    public bool Test(in Event<JsonElement> e)
    {
        var value = Run(e);
        return value.Kind == Kind.Bool ? value.IsTrue : throw ExpressionErrors.Kind("a bool", value.Kind, Text);
    }

    /// <summary>The result as a key: a string as it is, anything else as canonical JSON. Null is no key: <c>missing_field</c>.</summary>
    public string Key(in Event<JsonElement> e) => Key(e, out _);

    /// <summary>The result as a key.</summary>
    /// <param name="e">The event.</param>
    /// <param name="isText">Whether it was a string; otherwise the key is JSON.</param>
    public string Key(in Event<JsonElement> e, out bool isText)
    {
        var value = Run(e);
        isText = value.Kind == Kind.String;
        return isText ? value.String : Canonical(value);
    }

    /// <summary>The result as canonical JSON, a string in its quotes: what partitions are hashed by. Null is no key: <c>missing_field</c>.</summary>
    public string CanonicalKey(in Event<JsonElement> e) => Canonical(Run(e));

    /// <summary>The result as it is; never an error.</summary>
    public Value Run(in Event<JsonElement> e)
    {
        var frame = new Frame(e);
        var value = _root.Evaluate(ref frame);
        return value.IsError ? throw ExpressionErrors.Item(value, Text) : value;
    }

    /// <inheritdoc />
    public bool Equals(Expression? other) => other is not null && string.Equals(Text, other.Text, StringComparison.Ordinal);

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as Expression);

    /// <inheritdoc />
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc />
    public override string ToString() => Text;

    private string Canonical(in Value value) => value.Kind == Kind.Null
        ? throw new ItemException("missing_field", $"the key {Text} is null; give another one with has(...) ? ... : ...")
        : CanonicalJson.Of(value);
}
