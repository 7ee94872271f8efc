using System.Diagnostics;
using System.Security.Cryptography;
using Loom.Testing;

namespace Loom.SystemTests.Embedded;

/// <summary>
/// The adapter with its packages, installed once per lock file under <c>artifacts/</c> and shared by all test runs; each run gets a copy of the sources below it, so
/// that Node finds the packages one folder up.
/// </summary>
internal static class AdapterFolder
{
    private static readonly Lazy<Task<string>> s_folder = new(PrepareAsync);

    /// <summary>Folder with <c>server.js</c>.</summary>
    public static Task<string> GetAsync() => s_folder.Value;

    private static async Task<string> PrepareAsync()
    {
        var sources = Path.Combine(Repository.Root, "engines", "embedded");
        var hash = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(sources, "package-lock.json"))))[..16];
        var installed = Path.Combine(Repository.Root, "artifacts", "embedded-tests", hash);
        Directory.CreateDirectory(installed);
        await using (await LockAsync(Path.Combine(installed, ".lock")))
        {
            var done = Path.Combine(installed, ".done");
            if (!File.Exists(done))
            {
                foreach (var name in new[] { "package.json", "package-lock.json" })
                {
                    File.Copy(Path.Combine(sources, name), Path.Combine(installed, name), overwrite: true);
                }

                await NpmAsync(installed);
                await File.WriteAllTextAsync(done, "");
            }
        }

        var run = Path.Combine(installed, $"run-{Environment.ProcessId}");
        string[] code = [sources, Path.Combine(sources, "lib"), Path.Combine(sources, "test")];
        foreach (var file in code.SelectMany(folder => Directory.EnumerateFiles(folder, "*.js")).Append(Path.Combine(sources, "package.json")))
        {
            var target = Path.Combine(run, Path.GetRelativePath(sources, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }

        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(run, recursive: true);
        return run;
    }

    private static async Task<FileStream> LockAsync(string path)
    {
        FileStream? held = null;
        await Deadline.Until(
            () =>
            {
                try
                {
                    held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                    return true;
                }
                catch (IOException)
                {
                    return false;
                }
            },
            "another test run installs the adapter's packages",
            TimeSpan.FromMinutes(5));
        return held!;
    }

    private static async Task NpmAsync(string folder)
    {
        using var npm = Process.Start(new ProcessStartInfo("npm", ["ci", "--omit=optional", "--ignore-scripts"]) { WorkingDirectory = folder, RedirectStandardError = true, RedirectStandardOutput = true })!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        var said = npm.StandardError.ReadToEndAsync(deadline.Token);
        _ = await npm.StandardOutput.ReadToEndAsync(deadline.Token);
        await npm.WaitForExitAsync(deadline.Token);
        if (npm.ExitCode != 0)
        {
            throw new InvalidOperationException($"npm ci failed in '{folder}': {await said}");
        }
    }
}
