using System.Buffers;
using System.Collections.Immutable;
using System.Text;

namespace Loom.Processes.Logs;

/// <summary>
/// Masks secret values in a stream of bytes, also where a value is cut by a read boundary: what may be the beginning of a secret is held back until the next bytes
/// decide. One per stream.
/// </summary>
internal sealed class Redactor
{
    /// <summary>Shorter values are not masked: they would mask ordinary words.</summary>
    internal const int Shortest = 8;

    private readonly ImmutableArray<(byte[] Value, byte[] Mask)> _secrets;
    private readonly SearchValues<byte> _first;
    private byte[] _held = [];

    internal Redactor(IReadOnlyDictionary<string, string> secrets)
    {
        // Longest first: of two secrets that begin alike, the longer one must win.
        _secrets = [.. secrets
            .Where(s => s.Value.Length >= Shortest)
            .Select(s => (Encoding.UTF8.GetBytes(s.Value), Encoding.UTF8.GetBytes($"[redacted:{s.Key}]")))
            .OrderByDescending(s => s.Item1.Length)];
        _first = SearchValues.Create([.. _secrets.Select(s => s.Value[0]).Distinct()]);
    }

    /// <summary>Masks secrets in a text that is whole.</summary>
    [return: System.Diagnostics.CodeAnalysis.NotNullIfNotNull(nameof(text))]
    internal static string? Mask(string? text, IReadOnlyDictionary<string, string> secrets)
    {
        if (text is null || secrets.Count == 0)
        {
            return text;
        }

        foreach (var (name, value) in secrets.Where(s => s.Value.Length >= Shortest).OrderByDescending(s => s.Value.Length))
        {
            text = text.Replace(value, $"[redacted:{name}]", StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>Passes <paramref name="input"/> on with its secrets masked.</summary>
    /// <param name="input">The next bytes.</param>
    /// <param name="output">Receives what is certain by now.</param>
    /// <param name="final">True at the end of the stream: nothing is held back.</param>
    internal void Pass(ReadOnlySpan<byte> input, IBufferWriter<byte> output, bool final)
    {
        if (_secrets.IsEmpty)
        {
            output.Write(input);
            return;
        }

        var data = input;
        if (_held.Length > 0)
        {
            data = (byte[])[.. _held, .. input];
            _held = [];
        }

        while (!data.IsEmpty)
        {
            var candidate = data.IndexOfAny(_first);
            if (candidate < 0)
            {
                output.Write(data);
                return;
            }

            output.Write(data[..candidate]);
            data = data[candidate..];
            var (mask, taken, undecided) = Match(data);
            if (undecided && !final)
            {
                _held = data.ToArray();
                return;
            }

            output.Write(mask ?? data[..1]);
            data = data[taken..];
        }
    }

    private (byte[]? Mask, int Taken, bool Undecided) Match(ReadOnlySpan<byte> data)
    {
        foreach (var (value, mask) in _secrets)
        {
            if (data.Length >= value.Length)
            {
                if (data.StartsWith(value))
                {
                    return (mask, value.Length, false);
                }
            }
            else if (value.AsSpan().StartsWith(data))
            {
                // A longer secret may still come; at the end of the stream a shorter one may stand here.
                var (shorter, taken) = Whole(data);
                return (shorter, taken, true);
            }
        }

        return (null, 1, false);
    }

    private (byte[]? Mask, int Taken) Whole(ReadOnlySpan<byte> data)
    {
        foreach (var (value, mask) in _secrets)
        {
            if (data.StartsWith(value))
            {
                return (mask, value.Length);
            }
        }

        return (null, 1);
    }
}
