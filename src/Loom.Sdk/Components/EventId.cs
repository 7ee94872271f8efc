using System.Globalization;

namespace Loom.Components;

/// <summary>
/// An event's identity, which is its lineage: <c>source:partition:offset</c> for what a source read, <c>parent/ordinal</c> for what was
/// derived from it, <c>component/key/window</c> for an aggregate. The same input gives the same ids in every run, so a replay is recognised.
/// Deriving allocates nothing for the first levels; the text is built only when asked for.
/// </summary>
public readonly struct EventId : IEquatable<EventId>
{
    // The text is Prefix, then Number (a root's offset; negative: a child whose path no longer fitted; Unnumbered: none), then the ordinals
    // packed in Path: a leading 1, then for each ordinal groups of three bits, the fourth saying that another group follows.
    private const long Unnumbered = long.MinValue;
    private const int PathNibbles = 15;

    private readonly string? _prefix;
    private readonly long _number;
    private readonly ulong _path;

    private EventId(string prefix, long number, ulong path)
    {
        _prefix = prefix;
        _number = number;
        _path = path;
    }

    /// <summary>Whether this is the default value, which names no event.</summary>
    public bool IsNone => _prefix is null;

    /// <summary>What a source read.</summary>
    /// <param name="origin">Source and partition, as <c>source:partition</c>; keep one string per partition.</param>
    /// <param name="offset">Place in the partition; at least 0.</param>
    public static EventId Root(string origin, long offset)
    {
        ArgumentNullException.ThrowIfNull(origin);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        return new EventId(origin, offset, 0);
    }

    /// <summary>An id by its text, equal to the id that has this text.</summary>
    public static EventId Parse(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        var end = text.Length;
        var ordinals = new Stack<int>();
        while (TryNumber(text.AsSpan(0, end), '/', out var at, out var value) && value <= int.MaxValue)
        {
            ordinals.Push((int)value);
            end = at;
        }

        var id = TryNumber(text.AsSpan(0, end), ':', out var colon, out var offset)
            ? new EventId(text[..colon], offset, 0)
            : new EventId(text[..end], Unnumbered, 0);
        while (ordinals.TryPop(out var ordinal))
        {
            id = id.Child(ordinal);
        }

        return id;
    }

    /// <summary>What was derived from this event, by its place among its siblings (from 0).</summary>
    public EventId Child(int ordinal)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        var path = _path == 0 ? 1UL : _path;
        var groups = 1;
        for (var rest = ordinal >> 3; rest != 0; rest >>= 3)
        {
            groups++;
        }

        if (Nibbles(path) + groups > PathNibbles)
        {
            return new EventId(ToString(), -1L - ordinal, 0);
        }

        for (var group = groups - 1; group >= 0; group--)
        {
            var bits = (ulong)((ordinal >> (3 * group)) & 7);
            path = (path << 4) | bits | (group > 0 ? 8UL : 0UL);
        }

        return new EventId(_prefix ?? "", _number, path);
    }

    /// <inheritdoc />
    public bool Equals(EventId other) =>
        _number == other._number && _path == other._path && string.Equals(_prefix, other._prefix, StringComparison.Ordinal);

    /// <inheritdoc />
    public override bool Equals(object? obj) => obj is EventId other && Equals(other);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(_prefix is null ? 0 : string.GetHashCode(_prefix, StringComparison.Ordinal), _number, _path);

    /// <summary>The id as text, for instance <c>records:in.jsonl:1042/0</c>.</summary>
    public override string ToString()
    {
        if (_prefix is null)
        {
            return "";
        }

        if (_path == 0 && _number == Unnumbered)
        {
            return _prefix;
        }

        var text = new System.Text.StringBuilder(_prefix, _prefix.Length + 24);
        if (_number >= 0)
        {
            text.Append(CultureInfo.InvariantCulture, $":{_number}");
        }
        else if (_number != Unnumbered)
        {
            text.Append(CultureInfo.InvariantCulture, $"/{-1L - _number}");
        }

        var ordinal = 0;
        for (var nibble = Nibbles(_path) - 1; nibble >= 0; nibble--)
        {
            var bits = (int)(_path >> (4 * nibble)) & 15;
            ordinal = (ordinal << 3) | (bits & 7);
            if ((bits & 8) == 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"/{ordinal}");
                ordinal = 0;
            }
        }

        return text.ToString();
    }

    /// <summary>Whether two ids name the same event.</summary>
    public static bool operator ==(EventId left, EventId right) => left.Equals(right);

    /// <summary>Whether two ids name different events.</summary>
    public static bool operator !=(EventId left, EventId right) => !left.Equals(right);

    // Groups behind the leading 1.
    private static int Nibbles(ulong path) => path == 0 ? 0 : System.Numerics.BitOperations.Log2(path) / 4;

    // A separator and a number without a leading zero at the end of the text, behind at least one character.
    private static bool TryNumber(ReadOnlySpan<char> text, char separator, out int at, out long value)
    {
        value = 0;
        at = text.LastIndexOf(separator);
        var digits = at < 1 ? [] : text[(at + 1)..];
        return digits.Length > 0 && char.IsAsciiDigit(digits[0]) && (digits[0] != '0' || digits.Length == 1)
            && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }
}
