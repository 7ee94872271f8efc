using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Loom.Runtime;

/// <summary>Finds the <c>loom</c> executable.</summary>
internal static class LoomExecutable
{
    private static string Name => RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "loom.exe" : "loom";

    /// <exception cref="LoomException">It is nowhere, or what was named is no program.</exception>
    public static string Find(LoomLaunch launch)
    {
        if (launch.Executable is { Length: > 0 } given)
        {
            return Named(given, "LoomLaunch.Executable");
        }

        if (launch.Variable("LOOM_EXECUTABLE") is { Length: > 0 } variable)
        {
            return Named(variable, "LOOM_EXECUTABLE");
        }

        var beside = Path.Combine(AppContext.BaseDirectory, Name);
        var path = (launch.Variable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Where(Path.IsPathRooted).Select(folder => Path.Combine(folder, Name));
        var cache = BinaryNames.CacheFolder(launch.Variable);
        return new[] { beside }.Concat(path).FirstOrDefault(IsProgram) ?? Cached(cache) ?? throw new LoomException(
            1,
            "NO_LOOM",
            $"the program loom was not found: neither beside this program ({AppContext.BaseDirectory}), nor in PATH, nor whole in the cache ({cache})",
            "install Loom, or set LOOM_EXECUTABLE to its path");
    }

    // Newest first, and only what is what its checksum says.
    private static string? Cached(string cache)
    {
        var list = Path.Combine(cache, BinaryNames.ChecksumFile);
        if (!File.Exists(list))
        {
            return null;
        }

        var sums = BinaryNames.ReadChecksums(File.ReadAllText(list));
        return Directory.EnumerateFiles(cache)
            .Select(file => (File: file, Found: BinaryNames.TryRead(Path.GetFileName(file), out var name, out var version), name, version: version ?? ""))
            .Where(c => c.Found && c.name is "loom")
            .OrderByDescending(c => c.version, BinaryNames.VersionOrder)
            .Select(c => c.File)
            .FirstOrDefault(file => IsProgram(file) && sums.TryGetValue(Path.GetFileName(file), out var sum) && sum == Sha256(file));
    }

    private static string Sha256(string file)
    {
        using var stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static string Named(string path, string by) => IsProgram(Path.GetFullPath(path))
        ? Path.GetFullPath(path)
        : throw new LoomException(1, "NO_LOOM", $"{by} is '{path}', which {(File.Exists(path) ? "is not executable" : "does not exist")}", "name the loom executable");

    private static bool IsProgram(string path) => File.Exists(path)
        && (OperatingSystem.IsWindows()
            || (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);
}
