using System.Globalization;

namespace Loom.Core.Telemetry;

/// <summary>The label values of one series, in the order of their names. At most four; compared by value.</summary>
internal readonly struct LabelSet : IEquatable<LabelSet>
{
    public const int Most = 4;

    private readonly KeyValuePair<string, string> _a;
    private readonly KeyValuePair<string, string> _b;
    private readonly KeyValuePair<string, string> _c;
    private readonly KeyValuePair<string, string> _d;

    public LabelSet(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Count = Math.Min(tags.Length, Most);
        _a = Count > 0 ? Text(tags[0]) : default;
        _b = Count > 1 ? Text(tags[1]) : default;
        _c = Count > 2 ? Text(tags[2]) : default;
        _d = Count > 3 ? Text(tags[3]) : default;
    }

    private LabelSet(LabelSet names, string value)
    {
        Count = names.Count;
        _a = new(names._a.Key, value);
        _b = new(names._b.Key, value);
        _c = new(names._c.Key, value);
        _d = new(names._d.Key, value);
    }

    public int Count { get; }

    public KeyValuePair<string, string> this[int index] => index switch
    {
        0 => _a,
        1 => _b,
        2 => _c,
        _ => _d,
    };

    /// <summary>Whether the tags carry the very same value objects; quick to tell, and usual for measurements that follow each other.</summary>
    public bool IsSame(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length != Count)
        {
            return false;
        }

        for (var i = 0; i < tags.Length; i++)
        {
            if (!ReferenceEquals(tags[i].Value, this[i].Value))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The series that takes in what exceeds the limit of its family.</summary>
    public LabelSet AsOther() => new(this, "other");

    public bool Equals(LabelSet other) =>
        Count == other.Count && _a.Value == other._a.Value && _b.Value == other._b.Value && _c.Value == other._c.Value && _d.Value == other._d.Value;

    public override bool Equals(object? obj) => obj is LabelSet other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_a.Value, _b.Value, _c.Value, _d.Value);

    private static KeyValuePair<string, string> Text(KeyValuePair<string, object?> tag) =>
        new(tag.Key, tag.Value as string ?? Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "");
}
