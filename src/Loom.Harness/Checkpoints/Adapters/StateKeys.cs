using System.Buffers;

namespace Loom.Harness.Checkpoints.Adapters;

/// <summary>What every adapter asks of keys and values, so that what works with one works with all.</summary>
internal static class StateKeys
{
    /// <summary>Largest value, bytes.</summary>
    public const int LargestValue = 1024 * 1024;

    private static readonly SearchValues<char> s_allowed =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/");

    /// <exception cref="ArgumentException">The key has a character outside letters, digits and <c>._-/</c>, or the value is too large.</exception>
    public static void Check(string key, int bytes)
    {
        if (string.IsNullOrEmpty(key) || key.AsSpan().ContainsAnyExcept(s_allowed))
        {
            throw new ArgumentException($"'{key}' is no key of a state store: letters, digits and ._-/ make one", nameof(key));
        }

        if (bytes > LargestValue)
        {
            throw new ArgumentException($"a value of a state store has at most {LargestValue} bytes, and '{key}' has {bytes}", nameof(bytes));
        }
    }
}
