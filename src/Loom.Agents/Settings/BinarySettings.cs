using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[binaries.NAME]</c>, and those of <c>[runtime]</c> that say which programs are taken from where.</summary>
public static class BinarySettings
{
    internal static readonly Setting<string> RuntimeVersion = Setting.String("runtime.version", "Loom version the project asks for, with or without a leading v.", "latest",
        variables: ["LOOM_VERSION"], source: "seeds/003");

    internal static readonly Setting<bool> PreferRelease = Setting.Bool("runtime.prefer_release",
        "Local release builds go first; LOOM_PREFER_DEBUG=1 sets this to false (the one inverted variable).", "true", variables: ["LOOM_PREFER_DEBUG"],
        source: "seeds/003", inverted: true);

    internal static readonly Setting<bool> ForceDownload = Setting.Bool("runtime.force_download", "Skip local builds and cache (--force-download).", "false",
        variables: ["LOOM_FORCE_DOWNLOAD"], source: "seeds/003");

    internal static readonly Setting<Uri> DownloadBase = Setting.Url("runtime.download_base", "Base of release downloads; unset = the project's GitHub releases.",
        source: "seeds/003");

    internal static readonly Setting<string> Version = Setting.String("binaries.*.version", "Version of a further binary.", "latest");

    internal static readonly Setting<Uri> Url = Setting.Url("binaries.*.url", "Its download address.");

    internal static readonly Setting<string> Sha256 = Setting.String("binaries.*.sha256", "Its checksum.", min: "64", max: "64");

    internal static readonly Setting<string> Path = Setting.Path("binaries.*.path", "A local copy used as it stands.");

    /// <summary>Every row.</summary>
    public static ImmutableArray<Setting> All { get; } = [RuntimeVersion, PreferRelease, ForceDownload, DownloadBase, Version, Url, Sha256, Path];
}
