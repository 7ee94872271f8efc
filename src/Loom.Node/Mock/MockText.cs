using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace Loom.Node.Mock;

/// <summary>Words that depend on nothing but prompt, seed and position, so that two runs print the same text.</summary>
public static class MockText
{
    private static readonly ImmutableArray<string> s_words =
    [
        "mock", "warp", "weft", "shuttle", "thread", "cloth", "loom", "spindle", "yarn", "pattern", "colour", "night", "engine", "answer", "river", "stone",
        "paper", "letter", "window", "garden", "winter", "morning", "copper", "silver", "linen", "cotton", "needle", "button", "pocket", "market", "harbour", "bridge",
    ];

    /// <summary>Hash of everything the text depends on.</summary>
    public static ulong Key(string prompt, long seed) => Mix(Fnv(Encoding.UTF8.GetBytes(prompt)) ^ (ulong)seed);

    /// <summary>The word at <paramref name="index"/>, with its leading space after the first.</summary>
    public static string Word(ulong key, int index)
    {
        var word = s_words[(int)(Mix(key + ((ulong)index * 0x9E3779B97F4A7C15)) % (ulong)s_words.Length)];
        return index == 0 ? word : " " + word;
    }

    /// <summary>Tokens of a prompt, which are its words, as hashes: the mock compares prompts but never needs their words.</summary>
    public static ulong[] Words(ReadOnlySpan<char> text)
    {
        var words = new List<ulong>();
        foreach (var range in text.SplitAny(" \t\r\n"))
        {
            var word = text[range];
            if (!word.IsEmpty)
            {
                words.Add(Fnv(MemoryMarshal.AsBytes(word)));
            }
        }

        return [.. words];
    }

    private static ulong Fnv(ReadOnlySpan<byte> bytes)
    {
        var hash = 14695981039346656037UL;
        foreach (var b in bytes)
        {
            hash = (hash ^ b) * 1099511628211UL;
        }

        return hash;
    }

    // SplitMix64's finaliser: neighbouring inputs give unrelated outputs.
    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9UL;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBUL;
        return x ^ (x >> 31);
    }
}
