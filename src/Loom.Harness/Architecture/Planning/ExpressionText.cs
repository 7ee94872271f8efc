using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;

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
    public static string? Read(KeyReader keys, string key, string? word, string owner, FindingList findings, bool isCondition = false) =>
        Read(keys, key, word, owner, findings, isCondition ? static text => Expression.CompileCondition(text) : static text => Expression.Compile(text));

    /// <summary>A condition over the metrics of a system; null when there is none or after an error.</summary>
    public static string? ReadMetrics(KeyReader keys, string key, string owner, FindingList findings) =>
        Read(keys, key, null, owner, findings, static text => MetricExpression.Compile(text, SystemMetrics.Names));

    private static string? Read(KeyReader keys, string key, string? word, string owner, FindingList findings, Action<string> compile)
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
            compile(scalar.Text);
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
