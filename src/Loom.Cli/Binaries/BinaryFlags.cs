using System.Collections.Immutable;
using System.CommandLine;
using Loom.Core.Settings;

namespace Loom.Cli.Binaries;

/// <summary>Flags of every verb that may fetch programs, and the settings they stand for.</summary>
internal static class BinaryFlags
{
    public static Option<string?> Version { get; } = new("--version") { Description = "Loom version to run, fetched when it is another one (runtime.version)", HelpName = "V" };

    public static Option<bool> UseDebug { get; } = new("--use-debug") { Description = "Local debug builds go first (LOOM_PREFER_DEBUG=1)" };

    public static Option<bool> ForceDownload { get; } = new("--force-download") { Description = "Fetch every program anew, loom too, past local builds and cache" };

    public static Option<bool> AllowUnverified { get; } = new("--allow-unverified") { Description = "Accept downloads without a known checksum, and mark them so" };

    /// <summary>All of them, for <c>up</c> and <c>run</c>.</summary>
    public static Option[] All { get; } = [Version, UseDebug, ForceDownload, AllowUnverified];

    /// <summary>What was given, as settings of the command line.</summary>
    public static ImmutableArray<CommandLineValue> Values(ParseResult parse)
    {
        var values = ImmutableArray.CreateBuilder<CommandLineValue>();
        if (parse.GetResult(Version) is not null && parse.GetValue(Version) is { } version)
        {
            values.Add(new CommandLineValue(Version.Name, "runtime.version", version));
        }

        if (parse.GetValue(UseDebug))
        {
            values.Add(new CommandLineValue(UseDebug.Name, "runtime.prefer_release", "false"));
        }

        if (parse.GetValue(ForceDownload))
        {
            values.Add(new CommandLineValue(ForceDownload.Name, "runtime.force_download", "true"));
        }

        return values.ToImmutable();
    }
}
