using System.Security.Cryptography;
using System.Text;

namespace Loom.Core.Settings;

/// <summary>
/// A value that is never shown. Its text form is redacted, so that a log line, an exception or an interpolated string cannot leak it; the plain text
/// has to be asked for by name.
/// </summary>
public sealed class Secret : IEquatable<Secret>
{
    private readonly string _plain;
    private readonly string _shown;

    private Secret(string plain, string shown, string? name)
    {
        _plain = plain;
        _shown = shown;
        Name = name;
    }

    /// <summary>Name it is redacted to; null for the API token, which shows its fingerprint.</summary>
    internal string? Name { get; }

    /// <summary>A secret shown as <c>[redacted:NAME]</c>.</summary>
    public static Secret Named(string plain, string name) => new(plain, $"[redacted:{name}]", name);

    /// <summary>The API token, shown as <c>token:</c> and the first six hex digits of its SHA-256, so that two machines can be compared.</summary>
    public static Secret Token(string plain) => new(plain, "token:" + Fingerprint(plain), null);

    /// <summary>First six hex digits of the SHA-256 of a text, which tells tokens apart without telling them.</summary>
    public static string Fingerprint(string plain) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(plain)).AsSpan(0, 3));

    /// <summary>The plain text. Only code that sends or compares the secret calls this.</summary>
    public string Reveal() => _plain;

    /// <inheritdoc/>
    public bool Equals(Secret? other) =>
        other is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(_plain), Encoding.UTF8.GetBytes(other._plain));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Secret);

    /// <inheritdoc/>
    public override int GetHashCode() => _plain.GetHashCode(StringComparison.Ordinal);

    /// <summary>The redacted form.</summary>
    public override string ToString() => _shown;
}
