using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Core.Settings;

/// <summary>Form in which a layer gave a value: text, or a native value of the project file.</summary>
internal enum RawKind
{
    Text,
    Boolean,
    Integer,
    Float,
    Array,
    Table,
    DateTime,
}

/// <summary>A value as a layer gave it, before any setting has judged it.</summary>
internal sealed class RawValue
{
    private readonly object? _reference;
    private readonly long _bits;

    private RawValue(RawKind kind, object? reference, long bits)
    {
        Kind = kind;
        _reference = reference;
        _bits = bits;
    }

    public RawKind Kind { get; }

    /// <summary>The text of <see cref="RawKind.Text"/> and <see cref="RawKind.DateTime"/>.</summary>
    public string Text => (string)_reference!;

    public bool Boolean => _bits != 0;

    public long Integer => _bits;

    public double Float => BitConverter.Int64BitsToDouble(_bits);

    public ImmutableArray<RawValue> Items => ((ImmutableArray<RawValue>?)_reference)!.Value;

    public ImmutableArray<KeyValuePair<string, RawValue>> Entries => ((ImmutableArray<KeyValuePair<string, RawValue>>?)_reference)!.Value;

    public static RawValue Of(string text) => new(RawKind.Text, text, 0);

    public static RawValue Of(bool value) => new(RawKind.Boolean, null, value ? 1 : 0);

    public static RawValue Of(long value) => new(RawKind.Integer, null, value);

    public static RawValue Of(double value) => new(RawKind.Float, null, BitConverter.DoubleToInt64Bits(value));

    public static RawValue Of(ImmutableArray<RawValue> items) => new(RawKind.Array, items, 0);

    public static RawValue Of(ImmutableArray<KeyValuePair<string, RawValue>> entries) => new(RawKind.Table, entries, 0);

    public static RawValue OfDateTime(string text) => new(RawKind.DateTime, text, 0);

    /// <summary>The value as a person would write it, for messages and comparison.</summary>
    public override string ToString() => Kind switch
    {
        RawKind.Text or RawKind.DateTime => Text,
        RawKind.Boolean => Boolean ? "true" : "false",
        RawKind.Integer => Integer.ToString(CultureInfo.InvariantCulture),
        RawKind.Float => Float.ToString("R", CultureInfo.InvariantCulture),
        RawKind.Array => string.Join(',', Items),
        _ => "{...}",
    };
}

/// <summary>What relative paths and <c>~</c> mean for a value.</summary>
/// <param name="Folder">Absolute folder that relative paths start from.</param>
/// <param name="Home">Absolute home folder.</param>
/// <param name="SecretName">Name a secret is redacted to: the variable it came from, else the last part of its key.</param>
internal readonly record struct ParseContext(string Folder, string Home, string? SecretName = null);
