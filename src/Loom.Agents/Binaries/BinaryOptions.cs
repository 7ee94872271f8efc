using System.Collections.Immutable;
using System.Reflection;
using Loom.Agents.Settings;
using Loom.Core.Settings;
using Loom.Runtime;

namespace Loom.Agents.Binaries;

/// <summary>A further program the project declares, <c>[binaries.NAME]</c>.</summary>
/// <param name="Name">Its name.</param>
public sealed record BinaryPlan(string Name)
{
    /// <summary>An exact version, or <c>latest</c>.</summary>
    public string Version { get; init; } = BinaryNames.Latest;

    /// <summary>Its own download address; null = the releases of <see cref="BinaryOptions.Base"/>.</summary>
    public Uri? Url { get; init; }

    /// <summary>Checksum of the download; null = the one its release publishes.</summary>
    public string? Sha256 { get; init; }

    /// <summary>A local copy, used as it stands and never checked.</summary>
    public string? Path { get; init; }
}

/// <summary>Which programs a project uses, and where they may come from.</summary>
public sealed record BinaryOptions
{
    /// <summary>Absolute project folder.</summary>
    public required string Project { get; init; }

    /// <summary>Absolute cache folder: <c>$XDG_CACHE_HOME/loom/bin</c>, else <c>~/.cache/loom/bin</c>.</summary>
    public required string Cache { get; init; }

    /// <summary>The <c>loom</c> the project asks for: an exact version, or <c>latest</c> = the one that runs (<c>runtime.version</c>).</summary>
    public string RuntimeVersion { get; init; } = BinaryNames.Latest;

    /// <summary>Local debug builds go first (<c>runtime.prefer_release = false</c>, <c>LOOM_PREFER_DEBUG=1</c>, <c>--use-debug</c>).</summary>
    public bool PreferDebug { get; init; }

    /// <summary>Skip local builds and cache (<c>runtime.force_download</c>, <c>--force-download</c>).</summary>
    public bool ForceDownload { get; init; }

    /// <summary>Base of releases (<c>runtime.download_base</c>), else the releases of the repository this build names; null = neither.</summary>
    public Uri? Base { get; init; }

    /// <summary>See <see cref="LinksOf"/>.</summary>
    public string? Links { get; init; }

    /// <summary>The further programs, by name.</summary>
    public ImmutableArray<BinaryPlan> Declared { get; init; } = [];

    /// <summary>Folder of the project that links to its programs by name, first in every agent's PATH; null where it declares none.</summary>
    public static string? LinksOf(SettingsSnapshot settings) =>
        settings.Names("binaries").IsEmpty ? null : Path.Combine(settings.ProjectFolder, ".loom", "bin");

    /// <summary>Reads the settings.</summary>
    public static BinaryOptions From(SettingsSnapshot settings) => new()
    {
        Project = settings.ProjectFolder,

        // Where a user's cache lies is no matter of the project: its .env does not move it.
        Cache = BinaryNames.CacheFolder(Environment.GetEnvironmentVariable),
        RuntimeVersion = settings.Get(BinarySettings.RuntimeVersion),
        PreferDebug = !settings.Get(BinarySettings.PreferRelease),
        ForceDownload = settings.Get(BinarySettings.ForceDownload),
        Base = settings.GetOrNull(BinarySettings.DownloadBase) ?? OfRepository(typeof(BinaryOptions).Assembly),
        Links = LinksOf(settings),
        Declared =
        [
            .. settings.Names("binaries").Select(name => new BinaryPlan(name)
            {
                Version = settings.Get(BinarySettings.Version, name),
                Url = settings.GetOrNull(BinarySettings.Url, name),
                Sha256 = settings.GetOrNull(BinarySettings.Sha256, name),
                Path = settings.GetOrNull(BinarySettings.Path, name),
            }),
        ],
    };

    // A release is built with -p:RepositoryUrl=..., which .NET writes into the assembly; a build that nobody published has none.
    internal static Uri? OfRepository(Assembly assembly) =>
        assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(a => a.Key is "RepositoryUrl")?.Value is { Length: > 0 } repository
            ? new Uri((repository.EndsWith(".git", StringComparison.Ordinal) ? repository[..^4] : repository.TrimEnd('/')) + "/releases/download")
            : null;
}
