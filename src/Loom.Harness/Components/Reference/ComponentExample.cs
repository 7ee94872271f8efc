namespace Loom.Harness.Components.Reference;

/// <summary>
/// The example of each built-in, kept as <c>BuiltIns/Examples/NAME.yaml</c>: components of an architecture with a case of a test. The reference shows these texts, and the tests run
/// the same ones.
/// </summary>
internal static class ComponentExample
{
    private const string Prefix = "example/";

    /// <summary>Names of the built-ins that have one, in order.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. typeof(ComponentExample).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Select(n => Path.GetFileNameWithoutExtension(n[Prefix.Length..]))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The text of one; null where there is none, as for a component that is not built in.</summary>
    public static string? Of(string name)
    {
        using var stream = typeof(ComponentExample).Assembly.GetManifestResourceStream($"{Prefix}{name}.yaml");
        if (stream is null)
        {
            return null;
        }

        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
