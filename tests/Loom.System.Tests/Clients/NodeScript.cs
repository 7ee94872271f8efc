using System.Diagnostics;
using System.Text.Json;
using Loom.Testing;
using Shouldly;

namespace Loom.SystemTests.Clients;

/// <summary>Runs a script of <c>tests/node-clients</c>, installing what it needs from its lock file first.</summary>
internal static class NodeScript
{
    private static readonly string s_folder = Path.Combine(Repository.Root, "tests", "node-clients");
    private static readonly SemaphoreSlim s_installing = new(1, 1);

    /// <summary>Runs it to its end; its last line is JSON.</summary>
    /// <param name="script">File name.</param>
    /// <param name="onLine">Called with each line before the last.</param>
    /// <param name="arguments">Its arguments.</param>
    public static async Task<JsonElement> RunAsync(string script, Action<string>? onLine, params string[] arguments)
    {
        await InstallAsync();
        var (exit, lines, error) = await RunAsync("node", [Path.Combine(s_folder, script), .. arguments], onLine);
        exit.ShouldBe(0, error);
        return JsonDocument.Parse(lines[^1]).RootElement.Clone();
    }

    private static async Task InstallAsync()
    {
        await s_installing.WaitAsync();
        try
        {
            // Written by npm when it is done; what was installed from an older lock file lacks something.
            var installed = Path.Combine(s_folder, "node_modules", ".package-lock.json");
            if (!File.Exists(installed) || File.GetLastWriteTimeUtc(installed) < File.GetLastWriteTimeUtc(Path.Combine(s_folder, "package-lock.json")))
            {
                var (exit, lines, error) = await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], null);
                exit.ShouldBe(0, string.Join('\n', lines) + error);
            }
        }
        finally
        {
            s_installing.Release();
        }
    }

    private static async Task<(int Exit, List<string> Lines, string Error)> RunAsync(string program, string[] arguments, Action<string>? onLine)
    {
        var info = new ProcessStartInfo(program, arguments) { WorkingDirectory = s_folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(info)!;
        var error = process.StandardError.ReadToEndAsync();
        List<string> lines = [];
        while (await process.StandardOutput.ReadLineAsync().WaitAsync(RunningLoom.Deadline) is { } line)
        {
            lines.Add(line);
            onLine?.Invoke(line);
        }

        await process.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
        return (process.ExitCode, lines, await error);
    }
}
