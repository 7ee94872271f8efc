using System.Text;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Expressions;

/// <summary>What a template does where a field is missing.</summary>
internal enum MissingRule
{
    /// <summary>The item fails with <c>missing_field</c>.</summary>
    Error,

    /// <summary>Nothing is written in its place; nor for null.</summary>
    Empty,
}

/// <summary>
/// Text with <c>{{ expression }}</c> in it. Strings are written as they are, everything else as JSON. A literal <c>{{</c> is written
/// <c>{{ "{{" }}</c>. Immutable and safe from any number of threads.
/// </summary>
internal sealed class Template : IEquatable<Template>
{
    // Literal text and expressions in turn: part i comes before expression i; the last part stands alone.
    private readonly string[] _literals;
    private readonly Node[] _nodes;

    [ThreadStatic]
    private static StringBuilder? t_text;

    private Template(string text, MissingRule missing, string[] literals, Node[] nodes)
    {
        Text = text;
        Missing = missing;
        _literals = literals;
        _nodes = nodes;
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    public MissingRule Missing { get; }

    /// <summary>Whether it holds no expression.</summary>
    public bool IsLiteral => _nodes.Length == 0;

    /// <summary>Compiles and checks every expression.</summary>
    /// <exception cref="ExpressionException">What is wrong and at which line and column of the template.</exception>
    public static Template Compile(string text, MissingRule missing = MissingRule.Error)
    {
        var literals = new List<string>();
        var nodes = new List<Node>();
        var at = 0;
        while (true)
        {
            var open = text.IndexOf("{{", at, StringComparison.Ordinal);
            if (open < 0)
            {
                literals.Add(text[at..]);
                return new Template(text, missing, [.. literals], [.. nodes]);
            }

            literals.Add(text[at..open]);
            var parser = new Parser(text, open + 2, Scope.Event);
            if (parser.Current.Is("}"))
            {
                throw ExpressionException.At(text, open, "an expression is expected between {{ and }}; a literal {{ is written {{ \"{{\" }}");
            }

            nodes.Add(parser.ParseExpression());
            var close = parser.Current.Position;
            if (string.CompareOrdinal(text, close, "}}", 0, 2) != 0)
            {
                throw parser.Unexpected("\"}}\" or an operator");
            }

            at = close + 2;
        }
    }

    /// <summary>The same template under another rule for what is missing.</summary>
    public Template With(MissingRule missing) => new(Text, missing, _literals, _nodes);

    /// <summary>The text for one event.</summary>
    /// <exception cref="ItemException">A field is missing (<c>missing_field</c>) or an expression fails (<c>expression_error</c>).</exception>
    public string Render(in Event<JsonElement> e)
    {
        if (_nodes.Length == 0)
        {
            return _literals[0];
        }

        var text = (t_text ??= new StringBuilder(256)).Clear();
        for (var i = 0; i < _nodes.Length; i++)
        {
            text.Append(_literals[i]);
            var frame = new Frame(e);
            Append(text, _nodes[i].Evaluate(ref frame));
        }

        var result = text.Append(_literals[^1]).ToString();
        if (text.Capacity > 1 << 20)
        {
            t_text = null;
        }

        return result;
    }

    /// <inheritdoc />
    public bool Equals(Template? other) => other is not null && Missing == other.Missing && string.Equals(Text, other.Text, StringComparison.Ordinal);

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as Template);

    /// <inheritdoc />
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc />
    public override string ToString() => Text;

    private void Append(StringBuilder text, in Value value)
    {
        if (Missing == MissingRule.Empty && (value.Kind == Kind.Null || value is { IsError: true, Content: Node }))
        {
            return;
        }

        if (value.IsError)
        {
            throw ExpressionErrors.Item(value, Text);
        }

        text.Append(ValueText.TryOf(value, out var written)
            ? written
            : throw new ItemException("expression_error", $"a double that is no number has no text (in: {Text})"));
    }
}
