using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

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
    public static string? Read(KeyReader keys, string key, string? word, string owner, FindingList findings)
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

        return scalar.Text;
    }
}
