using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Loom.Runtime;

/// <summary>How programs are called in releases and in the cache: <c>NAME-vVERSION-PLATFORM</c>. The one owner of that naming.</summary>
public static class BinaryNames
{
    /// <summary>File that holds the checksums of a folder of programs, in the format of <c>sha256sum</c>.</summary>
    public const string ChecksumFile = "checksums.txt";

    /// <summary>The version word that means "the newest there is".</summary>
    public const string Latest = "latest";

    private const int Sha256Length = 64;
    private const string LowerCase = "abcdefghijklmnopqrstuvwxyz";
    private static readonly SearchValues<char> s_letters = SearchValues.Create(LowerCase + LowerCase.ToUpperInvariant());
    private static readonly SearchValues<char> s_hex = SearchValues.Create("0123456789abcdefABCDEF");

    /// <summary>
    /// Older versions before newer ones: numbers compare as numbers (1.9 before 1.10), a pre-release (<c>1.0-rc.1</c>) comes before its release.
    /// </summary>
    public static IComparer<string> VersionOrder { get; } = new VersionOrder();

    /// <summary>
    /// The platform this process runs on: <c>linux-x86_64</c>, <c>linux-aarch64</c> (with <c>-musl</c> where libc is musl), <c>macos-x86_64</c>,
    /// <c>macos-aarch64</c>, <c>windows-x86_64</c>.
    /// </summary>
    public static string Platform { get; } = PlatformOf(RuntimeInformation.ProcessArchitecture, RuntimeInformation.RuntimeIdentifier);

    /// <summary>The platform of an architecture and a .NET runtime identifier.</summary>
    /// <param name="architecture">Architecture of the process.</param>
    /// <param name="runtimeIdentifier">For example <c>linux-musl-x64</c>, <c>debian.12-arm64</c>, <c>osx-arm64</c>.</param>
    public static string PlatformOf(Architecture architecture, string runtimeIdentifier)
    {
        ArgumentNullException.ThrowIfNull(runtimeIdentifier);
        var system = runtimeIdentifier.StartsWith("osx", StringComparison.Ordinal) ? "macos"
            : runtimeIdentifier.StartsWith("win", StringComparison.Ordinal) ? "windows"
            : "linux";
        var machine = architecture switch
        {
            Architecture.X64 => "x86_64",
            Architecture.Arm64 => "aarch64",
            _ => architecture.ToString().ToLowerInvariant(),
        };
        var musl = system is "linux"
            && (runtimeIdentifier.Contains("musl", StringComparison.Ordinal) || runtimeIdentifier.StartsWith("alpine", StringComparison.Ordinal));
        return $"{system}-{machine}{(musl ? "-musl" : "")}";
    }

    /// <summary>The file name of a program: <c>NAME-vVERSION-PLATFORM</c>.</summary>
    /// <param name="name">Letters, digits, <c>. _ -</c>; begins with a letter or digit.</param>
    /// <param name="version">One exact version, with or without its <c>v</c>.</param>
    /// <param name="platform">Default: <see cref="Platform"/>.</param>
    /// <exception cref="ArgumentException">A name or version that cannot stand in a file name, or is not exact.</exception>
    public static string Artifact(string name, string version, string? platform = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(version);
        if (!IsName(name))
        {
            throw new ArgumentException($"'{name}' is no name of a program: letters, digits, '.', '_' and '-', beginning with a letter or digit", nameof(name));
        }

        return IsVersion(version)
            ? $"{name}-v{Plain(version)}-{platform ?? Platform}"
            : throw new ArgumentException($"'{version}' is no exact version, such as 0.1.0 or v0.1.0-alpha.1", nameof(version));
    }

    /// <summary>Reads a file name that <see cref="Artifact"/> made for this platform.</summary>
    /// <param name="file">The file name.</param>
    /// <param name="name">Name of the program.</param>
    /// <param name="version">Version without <c>v</c>.</param>
    public static bool TryRead(string file, [NotNullWhen(true)] out string? name, [NotNullWhen(true)] out string? version)
    {
        ArgumentNullException.ThrowIfNull(file);
        (name, version) = (null, null);
        if (!file.EndsWith("-" + Platform, StringComparison.Ordinal))
        {
            return false;
        }

        var rest = file[..^(Platform.Length + 1)];
        for (var dash = rest.IndexOf("-v", StringComparison.Ordinal); dash > 0; dash = rest.IndexOf("-v", dash + 1, StringComparison.Ordinal))
        {
            if (IsName(rest[..dash]) && IsVersion(rest[(dash + 2)..]))
            {
                (name, version) = (rest[..dash], rest[(dash + 2)..]);
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a text is one exact version: digits first, after at most three letters (<c>v0.1.0</c>, <c>1.2-rc.1</c>, <c>b5000</c>).</summary>
    public static bool IsVersion(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var digits = text.AsSpan().IndexOfAnyExcept(s_letters);
        return text.Length < 64 && digits is >= 0 and <= 3 && char.IsAsciiDigit(text[digits])
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '+' or '_' or '-');
    }

    /// <summary>A version without its leading <c>v</c>: <c>v0.1.0</c> and <c>0.1.0</c> are the same.</summary>
    public static string Plain(string version)
    {
        ArgumentNullException.ThrowIfNull(version);
        return version is ['v' or 'V', >= '0' and <= '9', ..] ? version[1..] : version;
    }

    /// <summary>The cache folder of a user: <c>$XDG_CACHE_HOME/loom/bin</c>, else <c>~/.cache/loom/bin</c>.</summary>
    /// <param name="variable">Reads an environment variable. A relative <c>XDG_CACHE_HOME</c> is ignored, as its standard asks.</param>
    public static string CacheFolder(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        var cache = variable("XDG_CACHE_HOME") is { Length: > 0 } given && Path.IsPathRooted(given)
            ? given
            : Path.Combine(variable("HOME") is { Length: > 0 } home ? home : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(cache, "loom", "bin");
    }

    /// <summary>Reads lines of <c>sha256sum</c>: 64 hex digits, blanks, an optional <c>*</c> or <c>./</c>, a path. Other lines are passed over.</summary>
    /// <param name="text">Content of a checksum file.</param>
    /// <returns>Checksums in lower case by path.</returns>
    public static IReadOnlyDictionary<string, string> ReadChecksums(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sums = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            var end = line.AsSpan().IndexOfAny(' ', '\t');
            if (end != Sha256Length || line.AsSpan(0, end).ContainsAnyExcept(s_hex))
            {
                continue;
            }

            var path = line[end..].Trim().TrimStart('*');
            path = path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path;
            if (path.Length > 0)
            {
                sums[path] = line[..end].ToLowerInvariant();
            }
        }

        return sums;
    }

    /// <summary>Whether a text can be the name of a program: letters, digits, <c>. _ -</c>, beginning with a letter or digit, at most 63 characters.</summary>
    public static bool IsName(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length is > 0 and < 64 && char.IsAsciiLetterOrDigit(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
    }
}
