using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>A program to find or fetch.</summary>
/// <param name="Name">Name of its executable, for example <c>llama-server</c>.</param>
public sealed record BinaryRequest(string Name)
{
    /// <summary>Names under which the <c>loom</c> executable itself goes.</summary>
    private static readonly string[] s_own = ["loom", "loom-core", "loom-bridge"];

    /// <summary>Exact version, with or without a leading <c>v</c>; null or <c>latest</c> = a local build, else the newest.</summary>
    public string? Version { get; init; }

    /// <summary>Where its file or archive may be downloaded from; null = from the release of its version, where a base of releases is known.</summary>
    public Uri? Url { get; init; }

    /// <summary>Checksum of what <see cref="Url"/> gives.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Its archive brings more than one file it needs (libraries): installed as a folder instead of as one file.</summary>
    public bool Whole { get; init; }

    /// <summary>Whether this is Loom's own executable under one of its names.</summary>
    public bool IsLoom => s_own.Contains(Name, StringComparer.Ordinal);

    /// <summary>The exact version without its <c>v</c>; null when the newest is wanted.</summary>
    public string? Exact => Version is null or "" or BinaryNames.Latest ? null : BinaryNames.Plain(Version);
}

/// <summary>Where a program was found.</summary>
public enum BinaryOrigin
{
    /// <summary>The executable that runs now.</summary>
    Running,

    /// <summary>A build folder of the project or its parents.</summary>
    LocalBuild,

    /// <summary>The cache, its checksum just verified.</summary>
    Cache,

    /// <summary>Fetched just now.</summary>
    Download,
}

/// <summary>A program that can be run.</summary>
/// <param name="Path">Absolute path of the executable.</param>
/// <param name="Origin">Where it was found.</param>
/// <param name="Version">Its version; null for a local build.</param>
/// <param name="Verified">False when it was fetched without a known checksum.</param>
public sealed record ResolvedBinary(string Path, BinaryOrigin Origin, string? Version, bool Verified);

/// <summary>The <c>loom</c> that runs now.</summary>
/// <param name="Path">Absolute path of its executable.</param>
/// <param name="Version">Its version, without <c>v</c>.</param>
public sealed record RunningProgram(string Path, string Version);

/// <summary>Where the resolver looks and what it may do.</summary>
public sealed record BinaryPlaces
{
    /// <summary>Project folder; build folders in it and in up to 5 parents are searched. Null = there is no project.</summary>
    public required string? Project { get; init; }

    /// <summary>Absolute cache folder; made when missing.</summary>
    public required string Cache { get; init; }

    /// <summary>Base of releases: <c>{base}/v{version}/{file}</c>; null = none is known.</summary>
    public Uri? Base { get; init; }

    /// <summary>The running executable, which stands for Loom's own names; null = it is of no use here.</summary>
    public RunningProgram? Running { get; init; }

    /// <summary>Debug builds before release builds.</summary>
    public bool PreferDebug { get; init; }

    /// <summary>Skip local builds and cache.</summary>
    public bool ForceDownload { get; init; }

    /// <summary>Never touch the network.</summary>
    public bool Offline { get; init; }

    /// <summary>Fetch without a known checksum.</summary>
    public bool AllowUnverified { get; init; }
}

/// <summary>Something a user should hear while a program is resolved.</summary>
/// <param name="Kind">What it is about.</param>
/// <param name="Text">One sentence.</param>
public readonly record struct BinaryNews(BinaryNewsKind Kind, string Text);

/// <summary>Kinds of <see cref="BinaryNews"/>.</summary>
public enum BinaryNewsKind
{
    /// <summary>Another process holds the artifact's lock; the text names it.</summary>
    Waiting,

    /// <summary>A cached file was not what it should be, and was moved aside.</summary>
    Damaged,

    /// <summary>Which exact version <c>latest</c> is, and how that is known.</summary>
    Latest,

    /// <summary>What will run was fetched without a known checksum.</summary>
    Unverified,
}
