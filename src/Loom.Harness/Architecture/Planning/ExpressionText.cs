using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Expressions;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads a key that holds an expression and compiles it, so that its errors are told here and not at the first event.</summary>
internal static class ExpressionText
{
    /// <summary>The text; null when there is none or after an error.</summary>
    /// <param name="keys">The map that holds the key.</param>
    /// <param name="key">The key.</param>
    /// <param name="word">A word that stands for itself, such as <c>default</c>.</param>
    /// <param name="owner">For messages.</param>
    /// <param name="findings">Errors are added here.</param>
    /// <param name="isCondition">Whether it must give a bool.</param>
    public static string? Read(KeyReader keys, string key, string? word, string owner, FindingList findings, bool isCondition = false)
    {
        if (keys.Node(key) is not { } node)
        {
            return null;
        }

        if (node is not YamlScalar scalar)
        {
            findings.Error(Codes.WrongType, node, $"{owner}: {key} is {node.Kind}; write an expression");
            return null;
        }

        if (scalar.Text == word)
        {
            return word;
        }

        try
        {
            _ = isCondition ? Expression.CompileCondition(scalar.Text) : Expression.Compile(scalar.Text);
            return scalar.Text;
        }
        catch (ExpressionException e)
        {
            var (line, column) = YamlPlace.Inside(scalar, e.Column);
            findings.Error(Codes.Expression, scalar.File, line, column, $"{owner}: {key}: {e.Message}");
            return null;
        }
    }
}
