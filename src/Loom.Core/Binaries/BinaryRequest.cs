namespace Loom.Core.Binaries;

/// <summary>A program to find or fetch.</summary>
/// <param name="Name">Name of its executable, for example <c>llama-server</c>.</param>
public sealed record BinaryRequest(string Name)
{
    /// <summary>Exact version, with or without a leading <c>v</c>; null = whatever is found, newest cached first.</summary>
    public string? Version { get; init; }

    /// <summary>Where its file or archive may be downloaded from; null = it is not.</summary>
    public Uri? Url { get; init; }

    /// <summary>Checksum of what <see cref="Url"/> gives.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Version without its <c>v</c>.</summary>
    internal string? PlainVersion => Version?.TrimStart('v', 'V');
}

/// <summary>Where a program was found.</summary>
public enum BinaryOrigin
{
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

/// <summary>Where the resolver looks and what it may do.</summary>
public sealed record BinaryPlaces
{
    /// <summary>Project folder; build folders in it and in up to 5 parents are searched.</summary>
    public required string Project { get; init; }

    /// <summary>Absolute cache folder; made when missing.</summary>
    public required string Cache { get; init; }

    /// <summary>Debug builds before release builds.</summary>
    public bool PreferDebug { get; init; }

    /// <summary>Skip local builds and cache.</summary>
    public bool ForceDownload { get; init; }

    /// <summary>Never touch the network.</summary>
    public bool Offline { get; init; }

    /// <summary>Fetch without a known checksum.</summary>
    public bool AllowUnverified { get; init; }
}

/// <summary>The platform as file names of releases spell it.</summary>
public static class PlatformTag
{
    /// <summary>For example <c>linux-x86_64</c>, with <c>-musl</c> where libc is musl.</summary>
    public static string Current { get; } = Of(System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture,
        System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier);

    internal static string Of(System.Runtime.InteropServices.Architecture architecture, string runtimeIdentifier) =>
        "linux-" + architecture switch
        {
            System.Runtime.InteropServices.Architecture.X64 => "x86_64",
            System.Runtime.InteropServices.Architecture.Arm64 => "aarch64",
            _ => architecture.ToString().ToLowerInvariant(),
        } + (runtimeIdentifier.Contains("musl", StringComparison.Ordinal) || runtimeIdentifier.StartsWith("alpine", StringComparison.Ordinal) ? "-musl" : "");
}
