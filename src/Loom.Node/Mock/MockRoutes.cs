using System.Collections.Immutable;

namespace Loom.Node.Mock;

/// <summary>The routes of the mock engine and what declares them.</summary>
public static class MockRoutes
{
    /// <summary>Routes beside the three that every engine has, as engines declare them.</summary>
    public static ImmutableArray<string> Further { get; } = ["responses", "messages", "messages/count_tokens", "rerank", "tokenize"];

    /// <summary>Path of a declared route.</summary>
    public static string PathOf(string route) => route == "tokenize" ? "/tokenize" : "/v1/" + route;

    /// <summary>Reads <c>--routes</c>: names of <see cref="Further"/>, or <c>none</c>.</summary>
    /// <exception cref="FormatException">A name is none of them.</exception>
    public static ImmutableArray<string> Parse(string text) => text == "none" ? [] :
    [
        .. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(name => Further.Contains(name)
            ? name
            : throw new FormatException($"mock route '{name}' is unknown; any of: {string.Join(", ", Further)}, or none")),
    ];
}
