using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>The last errors of a node, at most 16; a message that repeats counts once. Immutable.</summary>
internal readonly record struct NodeErrors(ImmutableArray<NodeErrorView> All)
{
    private const int Most = 16;
    private const int Longest = 500;

    public static NodeErrors None { get; } = new([]);

    public NodeErrors With(DateTimeOffset at, string message)
    {
        var text = message.Length > Longest ? message[..Longest] : message;
        var others = All.RemoveAll(e => e.Message == text);
        return new NodeErrors([.. others.Length < Most ? others : others.RemoveAt(0), new NodeErrorView(at, text)]);
    }
}
