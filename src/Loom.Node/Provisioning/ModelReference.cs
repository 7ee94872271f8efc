using System.Collections.Immutable;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>What a user wrote to name a model, understood: a closed set.</summary>
public abstract record ModelReference
{
    private ModelReference()
    {
    }

    /// <summary>The demo model, written on this machine.</summary>
    public sealed record Demo : ModelReference;

    /// <summary>A file that is there already; used in place.</summary>
    public sealed record LocalFile(string Path) : ModelReference;

    /// <summary>A file to fetch.</summary>
    /// <param name="Url">Where from.</param>
    /// <param name="Place">Path below the models folder, with forward slashes.</param>
    /// <param name="FromHub">The hub publishes checksums of its files.</param>
    public sealed record Remote(Uri Url, string Place, bool FromHub) : ModelReference;

    /// <summary>A checksum written behind the reference (<c>#sha256=</c>); null = none.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Id under which clients ask for it.</summary>
    public required string Id { get; init; }

    /// <summary>Understands a reference: <c>demo</c>, <c>file:</c>, <c>https://...#sha256=</c>, <c>hf:org/repo/file.gguf</c> or a catalog id.</summary>
    /// <param name="text">What the user wrote.</param>
    /// <param name="catalog">The <c>[models.*]</c> tables; an entry named <c>demo</c> wins over the built-in one.</param>
    /// <param name="baseFolder">Where relative <c>file:</c> paths start.</param>
    /// <param name="hub">Base of <c>hf:</c> references.</param>
    /// <exception cref="ProvisionException">It is none of these.</exception>
    public static ModelReference Parse(string text, ImmutableDictionary<string, ModelPlan> catalog, string baseFolder, Uri hub)
    {
        if (catalog.TryGetValue(text, out var entry))
        {
            var source = ParseSource(entry.Source, baseFolder, hub) ?? throw Unknown(entry.Source, catalog);
            return source with { Id = entry.Id, Sha256 = entry.Sha256 ?? source.Sha256 };
        }

        return ParseSource(text, baseFolder, hub) ?? throw Unknown(text, catalog);
    }

    /// <summary>The id clients use for a reference or catalog id, without judging it.</summary>
    public static string IdFor(string text)
    {
        var hash = text.LastIndexOf("#sha256=", StringComparison.Ordinal);
        var plain = hash < 0 ? text : text[..hash];
        var prefix = s_prefixes.FirstOrDefault(p => plain.StartsWith(p, StringComparison.Ordinal));
        return prefix switch
        {
            null => text,
            "https://" or "http://" => Uri.TryCreate(plain, UriKind.Absolute, out var url) && PartsOf(url) is [.., var file] ? IdOf(file) : text,
            _ => IdOf(plain[prefix.Length..]),
        };
    }

    private static readonly string[] s_prefixes = ["file:", "hf:", "https://", "http://"];

    private static ModelReference? ParseSource(string text, string baseFolder, Uri hub)
    {
        var hash = text.LastIndexOf("#sha256=", StringComparison.Ordinal);
        var sha256 = hash < 0 ? null : text[(hash + "#sha256=".Length)..].ToLowerInvariant();
        var plain = hash < 0 ? text : text[..hash];
        if (sha256 is not null && (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigit)))
        {
            throw new ProvisionException(ProvisionExit.Configuration,
                $"model reference '{text}': #sha256= takes 64 hex digits, found {sha256.Length} characters");
        }

        return plain switch
        {
            "demo" => new Demo { Id = "demo" },
            _ when plain.StartsWith("file:", StringComparison.Ordinal) => FileOf(plain, sha256, baseFolder),
            _ when plain.StartsWith("hf:", StringComparison.Ordinal) => Hub(plain, sha256, hub),
            _ when plain.StartsWith("https://", StringComparison.Ordinal) || plain.StartsWith("http://", StringComparison.Ordinal) => Web(plain, sha256),
            _ => null,
        };
    }

    private static LocalFile FileOf(string text, string? sha256, string baseFolder)
    {
        var path = text["file:".Length..];
        path = path.StartsWith("//", StringComparison.Ordinal) ? path[2..] : path;
        return new LocalFile(System.IO.Path.GetFullPath(path, baseFolder)) { Id = IdOf(path), Sha256 = sha256 };
    }

    private static Remote Hub(string text, string? sha256, Uri hub)
    {
        var parts = text["hf:".Length..].Split('/');
        if (parts.Length < 3 || parts.Any(p => !IsSafe(p)))
        {
            throw new ProvisionException(ProvisionExit.Configuration, $"model reference '{text}' is not of the form hf:org/repo/file.gguf");
        }

        var file = string.Join('/', parts.Skip(2).Select(Uri.EscapeDataString));
        return new Remote(new Uri($"{hub.OriginalString.TrimEnd('/')}/{parts[0]}/{parts[1]}/resolve/main/{file}"), string.Join('/', parts),
            FromHub: true) { Id = IdOf(parts[^1]), Sha256 = sha256 };
    }

    private static Remote Web(string text, string? sha256)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url))
        {
            throw new ProvisionException(ProvisionExit.Configuration, $"model reference '{text}' is not an address");
        }

        var parts = PartsOf(url);
        if (parts.Length == 0 || parts.Any(p => !IsSafe(p)))
        {
            throw new ProvisionException(ProvisionExit.Configuration, $"model reference '{text}' names no file");
        }

        return new Remote(url, string.Join('/', parts.Prepend(url.IsDefaultPort ? url.Host : $"{url.Host}_{url.Port}")),
            FromHub: false) { Id = IdOf(parts[^1]), Sha256 = sha256 };
    }

    // Only addresses are escaped; a path or a hub reference means what it says.
    private static string[] PartsOf(Uri url) => [.. url.AbsolutePath.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString)];

    // Parts become folders below the models folder: nothing may climb out of it or hide in it.
    private static bool IsSafe(string part) => part.Length is > 0 and <= 200 && part[0] != '.' && !part.Contains('/') && !part.Contains('\\')
        && !part.Any(char.IsControl);

    private static string IdOf(string path)
    {
        var name = System.IO.Path.GetFileName(path);
        return name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? name[..^5] : name;
    }

    private static ProvisionException Unknown(string text, ImmutableDictionary<string, ModelPlan> catalog) => new(
        ProvisionExit.NotFound,
        $"model '{text}' is neither demo, file:, https://, hf:org/repo/file.gguf nor a [models.*] entry (known: "
            + $"{(catalog.IsEmpty ? "none" : string.Join(", ", catalog.Keys.Order(StringComparer.Ordinal)))})");
}
